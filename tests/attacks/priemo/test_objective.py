"""Margins and universal feature vectors against cases worked by hand."""

from __future__ import annotations

import pytest
import torch

from priemo_bench.attacks.priemo.objective import FeatureVectors, margin


def test_margin_untargeted_is_own_minus_best_other() -> None:
    scores = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]])
    assert margin(scores, torch.tensor([0, 2]), targeted=False).tolist() == [1.0, -1.0]


def test_margin_targeted_is_best_other_minus_target() -> None:
    scores = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]])
    assert margin(scores, torch.tensor([1, 1]), targeted=True).tolist() == [2.0, -1.0]


def test_margin_towards_one_emotion_is_own_minus_that_one() -> None:
    scores = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]])
    towards = torch.tensor([1, 0])
    assert margin(scores, torch.tensor([0, 2]), False, towards).tolist() == [2.0, 4.0]


def test_universal_vectors_are_the_class_directions_from_the_centre() -> None:
    features = torch.tensor([[2.0, 0.0], [4.0, 0.0], [-3.0, 0.0], [-3.0, 0.0]])
    logits = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]])
    vectors = FeatureVectors.of(features, logits)
    assert vectors.centre.tolist() == [0.0, 0.0]
    assert vectors.means[:2].tolist() == [[1.0, 0.0], [-1.0, 0.0]]
    assert vectors.present.tolist() == [True, True, False]
    assert vectors.cosines(features)[0].tolist() == [1.0, -1.0, -torch.inf]
    assert vectors.feature_scale.item() == pytest.approx(2)


def test_vectors_do_not_depend_on_the_size_or_origin_of_features() -> None:
    features = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    logits = torch.randn(50, 4, generator=torch.Generator().manual_seed(1))
    one, two = FeatureVectors.of(features, logits), FeatureVectors.of(features * 3 + 7, logits)
    assert torch.allclose(one.means, two.means, atol=1e-5)
    assert torch.allclose(one.cosines(features), two.cosines(features * 3 + 7), atol=1e-5)
