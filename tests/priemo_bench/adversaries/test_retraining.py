"""Training: it learns what there is to learn, mixes as asked, and repeats bit by bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from priemo_bench.adversaries.retraining import Recipe, _kept, mixed, new_net, trained
from priemo_bench.contracts.predict import predict
from priemo_bench.errors import PriemoError
from priemo_bench.run.store import Store

RECIPE = Recipe(epochs=6, batch=16, rate=0.05)


def light_and_dark(n: int = 64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2
    images = rng.integers(0, 40, (n, 1, 16, 16)) + 180 * labels[:, None, None, None]
    return images.astype(np.uint8), labels.astype(np.int64)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 7))


def test_it_learns_and_is_frozen() -> None:
    images, labels = light_and_dark()
    found = trained(net(), images, labels, RECIPE)
    assert (predict(found, images) == labels).mean() > 0.95
    assert not found.training
    assert not any(p.requires_grad for p in found.parameters())


def test_equal_seeds_give_equal_weights() -> None:
    images, labels = light_and_dark()
    one, other = (trained(net(), images, labels, RECIPE).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_too_few_images_are_a_sentence() -> None:
    images, labels = light_and_dark(8)
    with pytest.raises(PriemoError, match="8 images are fewer than a batch of 16"):
        trained(net(), images, labels, RECIPE)


@pytest.mark.parametrize(("share", "count"), [(0.01, 1), (0.1, 2), (0.5, 10), (1.0, 20)])
def test_the_first_share_is_published(share: float, count: int) -> None:
    clean, published = np.zeros((20, 1, 2, 2), np.uint8), np.ones((20, 1, 2, 2), np.uint8)
    found = mixed(clean, published, share)
    assert found[:count].all()
    assert not found[count:].any()
    assert len(found) == 20


def test_a_trained_network_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = light_and_dark()
    store = Store(tmp_path)
    first = _kept(net, images, labels, RECIPE, store)
    monkeypatch.setattr("priemo_bench.adversaries.retraining.trained", None)
    again = _kept(net, images, labels, RECIPE, store)
    np.testing.assert_array_equal(predict(first, images), predict(again, images))
    with pytest.raises(TypeError):  # other images: trained again
        _kept(net, images[:32], labels[:32], RECIPE, store)


def test_the_network_of_a_victim_with_other_options() -> None:
    small = new_net("repvgg", {"widths": [8, 8, 8], "depths": [1, 1, 1], "stem": 8}, seed=0)
    again = new_net("repvgg", {"widths": [8, 8, 8], "depths": [1, 1, 1], "stem": 8}, seed=0)
    assert all(map(torch.equal, small.state_dict().values(), again.state_dict().values()))
    assert small(torch.zeros(2, 1, 48, 48)).shape == (2, 7)


def test_a_victim_without_a_training_is_a_sentence() -> None:
    with pytest.raises(PriemoError, match="not trained here"):
        new_net("fer", {}, seed=0)
