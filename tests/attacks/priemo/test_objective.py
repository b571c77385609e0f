"""Margins and universal feature vectors against cases worked by hand."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from priemo_bench.attacks.priemo import objective
from priemo_bench.attacks.priemo.objective import (
    FeatureVectors,
    Objective,
    Weighting,
    sigmoid_penalty,
    softplus_penalty,
)


def surrogate(scale: float = 1.0) -> Any:
    """Pixels are the features, and times `scale` the logits."""
    return lambda x: (x.flatten(1), scale * x.flatten(1))


def logit_margins(scores: list[list[float]], y: list[int], **params: Any) -> list[float]:
    other = params.pop("other", None)
    objective = Objective([surrogate()], sigmoid_penalty, loss="logit", **params)
    one = torch.ones(())
    objective.vectors = [FeatureVectors(one, one, one, one, one)]
    x = torch.tensor(scores)[:, None, None]
    (_, margins), = objective.margins(x, torch.tensor(y), other)  # fmt: skip
    return list(margins.tolist())


SCORES = [[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]]


def test_untargeted_margin_is_own_minus_best_other() -> None:
    assert logit_margins(SCORES, [0, 2]) == [1.0, -1.0]


def test_targeted_margin_is_best_other_minus_target() -> None:
    assert logit_margins(SCORES, [1, 1], targeted=True) == [2.0, -1.0]


def test_margin_of_one_other_class_is_own_minus_that_one() -> None:
    assert logit_margins(SCORES, [0, 2], other=torch.tensor([1, 0])) == [2.0, 4.0]


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


def test_whitened_cosines_do_not_depend_on_a_linear_map_of_the_features(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mahalanobis geometry: what an invertible map does to the features, whitening undoes."""
    monkeypatch.setattr(objective, "SHRINKAGE", 0.0)
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(200, 5, generator=generator, dtype=torch.float64)
    logits = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    mapped = features @ torch.randn(5, 5, generator=generator, dtype=torch.float64) + 3
    one, two = (FeatureVectors.of(f, logits, "whitened") for f in (features, mapped))
    assert torch.allclose(one.cosines(features), two.cosines(mapped), atol=1e-6)
    plain = [FeatureVectors.of(f, logits).cosines(f) for f in (features, mapped)]
    assert not torch.allclose(plain[0], plain[1], atol=0.1)


def test_whitened_features_scatter_alike_within_every_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(objective, "SHRINKAGE", 0.0)
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(300, 4, generator=generator) * torch.tensor([1.0, 5, 0.2, 2])
    predicted = torch.arange(300) % 3
    features[:, 0] += predicted
    logits = torch.nn.functional.one_hot(predicted, 3).float()
    whitening = FeatureVectors.of(features, logits, "whitened").whitening
    assert whitening is not None
    white = features @ whitening
    within = torch.cat([white[predicted == k] - white[predicted == k].mean(0) for k in range(3)])
    assert torch.allclose(within.T @ within / 300, torch.eye(4), atol=1e-3)


def test_surrogates_add_up_or_the_worst_counts() -> None:
    """Logits as images: penalties softplus((m + confidence) / temperature)."""
    penalty = partial(softplus_penalty, confidence=0.25)
    x, y = torch.tensor([[[[2.0, 1.0]]], [[[0.0, 3.0]]]]), torch.tensor([0, 0])
    penalties = []
    for scale in (1.0, -1.0):
        alone = Objective([surrogate(scale)], penalty, loss="logit")
        alone.fit([x])
        penalties.append(alone(x, y)[0])
        # margins 1 and -3, or their negatives, over their mean size 2
        margins = scale * torch.tensor([0.5, -1.5])
        assert torch.allclose(penalties[-1], ((margins + 0.25) / 0.25).exp().log1p(), atol=1e-4)
    weightings: list[tuple[Weighting, torch.Tensor]] = [
        ("sum", penalties[0] + penalties[1]),
        ("worst", torch.maximum(*penalties)),
    ]
    for weighting, expected in weightings:
        both = Objective(
            [surrogate(1.0), surrogate(-1.0)], penalty, loss="logit", weighting=weighting
        )
        both.fit([x])
        loss, score = both(x, y)
        assert torch.allclose(loss, expected, atol=1e-5)
        assert torch.allclose(score, expected, atol=1e-5)
