"""Filters within an attack: their values are the defenses' own, their gradients the stand-ins'."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn

from priemo_bench import registry
from priemo_bench.attacks.filters import Filter, Filtered, all_views, open_filters
from priemo_bench.attacks.surrogate import Surrogate
from priemo_bench.contracts.filter_sets import SETS
from priemo_bench.contracts.image import ByteImages, FloatImages, publish, to_float
from priemo_bench.errors import PriemoError


class Halved:
    """A defense of half the brightness, in whole levels; its stand-in has a third as slope."""

    def __call__(self, x: ByteImages, /) -> FloatImages:
        return to_float(x // 2)

    def smooth(self, x: Tensor) -> Tensor:
        return x / 3


class Coarse:
    """A defense without a stand-in."""

    def __call__(self, x: ByteImages, /) -> FloatImages:
        return to_float(x // 64 * 64)


@pytest.fixture
def x() -> Tensor:
    return torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("defense", "slope"), [(Halved(), 1 / 3), (Coarse(), 1.0)])
def test_a_filter_has_the_value_of_its_defense_and_the_slope_of_its_stand_in(
    x: Tensor, defense: Any, slope: float
) -> None:
    x.requires_grad_()
    shown = Filter(defense)(x)
    assert np.allclose(shown.detach().numpy(), defense(publish(x.detach().numpy())), atol=1e-6)
    assert torch.allclose(torch.autograd.grad(shown.sum(), x)[0], torch.full_like(x, slope))
    assert not Filter(defense)(x.detach()).requires_grad


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", SETS["set-1"])
def test_every_filter_of_the_set_gives_a_gradient(name: str, channels: int) -> None:
    seed = torch.Generator().manual_seed(1)
    x = torch.rand(2, channels, 24, 20, generator=seed, requires_grad=True)
    (shown,) = open_filters([name])
    out = shown(x)
    defense = registry.get("defenses", name)
    assert np.allclose(out.detach().numpy(), defense(publish(x.detach().numpy())), atol=1e-6)
    gradient = torch.autograd.grad(out.sum(), x)[0]
    assert gradient.isfinite().all()
    assert gradient.abs().mean() > 0.1


def test_logits_are_means_over_the_image_and_its_filtered_versions(x: Tensor) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.Tanh(), nn.Linear(5, 3))
    names = ["median3", "bits4"]
    views = [x]
    for name in names:
        views.append(torch.from_numpy(registry.get("defenses", name)(publish(x.numpy()))))
    expected = torch.stack([model(view) for view in views]).mean(0)
    assert torch.allclose(Filtered(model, names)(x), expected, atol=1e-6)
    classifier = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), (1, 8, 8), 3, clip_values=(0, 1), device_type="cpu"
    )
    features, logits = Surrogate(classifier, filters=names)(x)
    hidden = torch.stack([model[:3](view) for view in views]).mean(0)
    assert torch.allclose(logits, expected, atol=1e-6)
    assert torch.allclose(features, hidden, atol=1e-6)


def test_a_set_stands_for_its_filters() -> None:
    assert len(open_filters(["set-1"])) == len(SETS["set-1"])
    assert len(open_filters(["set-1", "jpeg75", "none"])) == len(SETS["set-1"]) + 1
    x = torch.zeros(1, 1, 8, 8)
    assert all_views(x, []) is x


@pytest.mark.parametrize("name", ["pgd", "mifgsm", "sga"])
def test_a_baseline_survives_the_filters_that_it_expects(name: str, bands: Any) -> None:
    if name == "mifgsm":
        pytest.importorskip("torchattacks")
    entry = registry.get("attacks", name)
    params: dict[str, Any] = {"random_state": 0} if entry.traits.random else {}
    plain, surviving = (
        entry(bands.classifier, eps=8 / 255, filters=filters, **params).generate(bands.x, bands.y)
        for filters in ((), ("blur1",))
    )
    assert bands.protected(plain).all()
    assert not bands.protected(plain, "blur1").any()
    assert bands.protected(surviving, "blur1").all()
    assert np.abs(surviving - bands.x).max() <= 8 / 255 + 1e-6


@pytest.mark.parametrize("name", ["pgd", "mifgsm", "sga", "priemo-image", "priemo-universal"])
@pytest.mark.parametrize(
    ("filters", "word"),
    [
        (["jpeg57"], "no defense is called 'jpeg57'; did you mean jpeg"),
        ("jpeg75", "^filters is 'jpeg75'; it must be a list of names"),
        (5, "^filters is 5"),
        ([5], "^filters is "),
    ],
)
def test_bad_filters_are_named(name: str, filters: Any, word: str, bands: Any) -> None:
    if name == "mifgsm":
        pytest.importorskip("torchattacks")
    entry = registry.get("attacks", name)
    with pytest.raises(PriemoError, match=word):
        entry(bands.classifier, filters=filters)
    with pytest.raises(PriemoError, match=word):
        entry(bands.classifier).set_params(filters=filters)
