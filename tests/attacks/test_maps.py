"""Feature maps of surrogates, and a generator that reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.functional import normalize

from priemo_bench.attacks.maps import FeatureMaps, scores_of
from priemo_bench.attacks.priemo import PriEMO
from priemo_bench.attacks.surrogate import Surrogate
from priemo_bench.errors import PriemoError
from priemo_bench.run.profiling import PassCounter

SIDE = 16


def wrapped(model: nn.Module) -> PyTorchClassifier:
    return PyTorchClassifier(
        model, nn.CrossEntropyLoss(), (1, SIDE, SIDE), 2, clip_values=(0, 1), device_type="cpu"
    )


class Stripes(nn.Module):
    """The sum of the image times a sign for each pixel, as a convolution that hides the signs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 4, 4, bias=False)
        signs = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(3)).sign()
        self.conv.weight = nn.Parameter(torch.cat([signs, -signs]))
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.conv(x - 0.5)).sum((2, 3))
        return out


class Functional(Stripes):
    """Whose first activation is a module, and its second is not."""

    def __init__(self) -> None:
        super().__init__()
        self.second = nn.Conv2d(2, 2, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.act(self.conv(x - 0.5)))).mean((2, 3))


def test_maps_are_what_activations_take() -> None:
    """Negative values too, which an activation in place overwrites."""
    model, x = Stripes(), torch.rand(3, 1, SIDE, SIDE)
    maps = FeatureMaps([Surrogate(wrapped(model))] * 2, 1, (SIDE, SIDE))
    assert maps.shapes == [(2, 4, 4)] * 2
    found, scores = maps(x)
    expected = normalize(model.conv(x - 0.5).flatten(1)) * 32**0.5
    assert all(torch.allclose(part.flatten(1), expected, atol=1e-6) for part in found)
    assert (found[0] < 0).any()
    assert not found[0].requires_grad
    assert torch.equal(scores, torch.cat([scores_of(model(x))] * 2, 1))
    assert not model.act._forward_pre_hooks
    assert not model.conv._forward_hooks


def test_scores_say_what_is_predicted() -> None:
    """Whatever the scale of the logits: (3, 1, -1) has mean 1 and deviation sqrt(8/3)."""
    logits = torch.tensor([[3.0, 1.0, -1.0], [100.0, 500.0, 300.0]])
    unit = (3 / 2) ** 0.5
    expected = [[unit, 0, -unit, 1, 0, 0, 0, 1, 0], [-unit, unit, 0, 0, 1, 0, 0, 0, 1]]
    assert torch.allclose(scores_of(logits), torch.tensor(expected), atol=1e-6)


def test_activations_that_are_no_modules_are_read_from_convolutions() -> None:
    maps = FeatureMaps([Surrogate(wrapped(Functional()))], 1, (SIDE, SIDE))
    assert maps.shapes == [(2, 4, 4), (2, 2, 2)]


@pytest.mark.parametrize("n", [5, 8])
def test_channels_last_are_no_map(n: int) -> None:
    """(n, h, w, k), as inside of ConvNeXt."""

    class Last(Stripes):
        def forward(self, x: Tensor) -> Tensor:
            wide = self.conv(x).repeat(1, 4 * n, 1, 1).permute(0, 2, 3, 1)
            out: Tensor = self.act(wide).mean((1, 2))[:, :2]
            return out

    assert FeatureMaps([Surrogate(wrapped(Last()))], 1, (SIDE, SIDE)).shapes == [(2, 4, 4)]


def test_a_model_without_maps_is_refused(halves: PyTorchClassifier) -> None:
    attack = PriEMO(halves, "generator", feature_maps=True, steps=1, verbose=False)
    x = np.random.default_rng(0).random((4, 1, SIDE, SIDE), np.float32)
    with pytest.raises(PriemoError, match="Halves has no feature maps to read"):
        attack.fit(x)


def generator(classifier: PyTorchClassifier, feature_maps: bool) -> PriEMO:
    return PriEMO(
        classifier, "generator", ssim_floor=None, eps=4 / 255, steps=4, width=8, batch_size=32,
        feature_maps=feature_maps, random_state=0, verbose=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def faces() -> Callable[[int, int], np.ndarray]:
    """Near the boundary of `Stripes`, half on each side."""

    def make(n: int, seed: int) -> np.ndarray:
        x = np.random.default_rng(seed).uniform(0.4, 0.6, (n, 1, SIDE, SIDE))
        return x.astype(np.float32)

    return make


def test_maps_show_the_generator_what_the_image_hides(
    faces: Callable[[int, int], np.ndarray], tmp_path: Path
) -> None:
    classifier = wrapped(Stripes())
    x = faces(64, 1)
    clean = classifier.predict(x).argmax(1)
    blind, reading = (generator(classifier, maps).fit(faces(256, 0)) for maps in (False, True))
    lost = [(classifier.predict(a.apply(x)).argmax(1) != clean).mean() for a in (blind, reading)]
    assert lost[1] > lost[0] + 0.2

    with PassCounter([classifier.model]) as passes:
        out = reading.apply(x)
    assert (passes.forwards, passes.backwards) == (len(x), 0)
    reading.save(tmp_path / "g.safetensors")
    again = PriEMO.load(tmp_path / "g.safetensors", classifier)
    np.testing.assert_array_equal(again.apply(x), out)
    with pytest.raises(PriemoError, match="needs a classifier"):
        PriEMO.load(tmp_path / "g.safetensors")
