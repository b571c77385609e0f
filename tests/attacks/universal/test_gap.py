"""GAP: its loss and scaling in closed form, and its optimum on a linear classifier.

With a narrow network and a high learning rate, which find the optimum in a few steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier

from priemo_bench.attacks import unet
from priemo_bench.attacks.universal import gap
from priemo_bench.attacks.universal.gap import GAP, fooling_loss, scale_to_linf
from priemo_bench.errors import PriemoError
from priemo_bench.run.profiling import PassCounter

SIDE, EPS = 16, 6 / 255


def faces(n: int, seed: int) -> np.ndarray:
    """All brighter on the left, by four grey levels."""
    rng = np.random.default_rng(seed)
    x = 0.5 + rng.uniform(-0.01, 0.01, (n, 1, SIDE, SIDE))
    half = np.where(np.arange(SIDE) < SIDE // 2, 2 / 255, -2 / 255)
    return (x + half).astype(np.float32)


@pytest.fixture(scope="module", autouse=True)
def _small_and_fast() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unet, "UNet", partial(unet.UNet, width=16))
        patch.setattr(gap, "RATE", 2e-3)
        yield


@pytest.fixture(scope="module")
def fitted(halves: PyTorchClassifier) -> GAP:
    return GAP(halves, EPS, passes=15, batch_size=16, random_state=0).fit(faces(64, 1))


def test_held_out_faces_are_protected(halves: PyTorchClassifier, fitted: GAP) -> None:
    """The optimum darkens the left half by eps and brightens the right one."""
    x = faces(64, 2)
    y = fitted.apply(x)
    assert np.abs(y - x).max() <= EPS + 1e-6
    fooled = halves.predict(y).argmax(1) != halves.predict(x).argmax(1)
    assert fooled.mean() > 0.9
    best = np.where(np.arange(SIDE) < SIDE // 2, -EPS, EPS)
    assert np.mean(np.sign(y - x) == np.sign(best)) > 0.9
    assert fitted.fooling_rate is not None
    assert fitted.fooling_rate > 0.9


def test_one_target_is_reached(halves: PyTorchClassifier) -> None:
    attack = GAP(halves, EPS, targeted=True, passes=15, batch_size=16, random_state=0)
    attack.fit(faces(64, 1), np.ones(64, np.int64))
    assert (halves.predict(attack.apply(faces(64, 2))).argmax(1) == 1).mean() > 0.9
    with pytest.raises(PriemoError, match="one target only"):
        attack.fit(faces(4, 1), np.array([0, 1, 0, 1]))


def test_apply_needs_no_classifier_and_files_keep_the_network(
    halves: PyTorchClassifier, fitted: GAP, tmp_path: Path
) -> None:
    x = faces(8, 3)
    with PassCounter([halves.model]) as passes:
        y = fitted.apply(x)
    assert passes.forwards == passes.backwards == 0
    fitted.save(tmp_path / "gap.safetensors")
    again = GAP.load(tmp_path / "gap.safetensors")
    assert np.array_equal(again.apply(x), y)
    assert again.fooling_rate == fitted.fooling_rate
    larger = np.repeat(np.repeat(x, 2, 2), 2, 3)[..., 3:]
    assert again.apply(larger).shape == larger.shape
    with pytest.raises(PriemoError, match="3 channels"):
        again.apply(np.repeat(x, 3, 1))


def test_not_fitted(halves: PyTorchClassifier, tmp_path: Path) -> None:
    with pytest.raises(PriemoError, match="call fit"):
        GAP(halves).apply(faces(2, 0))
    with pytest.raises(PriemoError, match="call fit"):
        GAP(halves).save(tmp_path / "none.safetensors")


def test_output_is_scaled_down_to_the_bound_only() -> None:
    raw = torch.tensor([[[[0.5, -0.9]]], [[[0.001, 0.002]]]])
    expected = torch.tensor([[[[0.1 * 0.5 / 0.9, -0.1]]], [[[0.001, 0.002]]]])
    assert torch.allclose(scale_to_linf(raw.atanh(), 0.1), expected)


def test_loss_is_the_log_of_the_cross_entropy() -> None:
    """Two classes, logits 0 and z: H = log(1 + exp(z)) for label 0."""
    z = 1.7
    logits, y = torch.tensor([[0.0, z]]), torch.tensor([0])
    value = np.log(np.log1p(np.exp(z)))
    assert float(fooling_loss(logits, y, targeted=False)) == pytest.approx(-value, rel=1e-5)
    assert float(fooling_loss(logits, y, targeted=True)) == pytest.approx(value, rel=1e-5)
