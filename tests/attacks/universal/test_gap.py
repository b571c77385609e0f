"""GAP: its loss and its scaling in closed form, and what it learns on a linear classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier

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


@pytest.fixture(scope="module")
def fitted(halves: PyTorchClassifier) -> GAP:
    return GAP(halves, EPS, passes=40, batch_size=32, random_state=0).fit(faces(128, 1))


def test_held_out_faces_leave_their_emotion(halves: PyTorchClassifier, fitted: GAP) -> None:
    """The optimum darkens the left half by eps and brightens the right one."""
    x = faces(64, 2)
    y = fitted.apply(x)
    assert np.abs(y - x).max() <= EPS + 1e-6
    turned = halves.predict(y).argmax(1) != halves.predict(x).argmax(1)
    assert turned.mean() > 0.9
    best = np.where(np.arange(SIDE) < SIDE // 2, -EPS, EPS)
    assert np.mean(np.sign(y - x) == np.sign(best)) > 0.9
    assert fitted.fooling_rate is not None
    assert fitted.fooling_rate > 0.9


def test_one_target_is_reached(halves: PyTorchClassifier) -> None:
    attack = GAP(halves, EPS, targeted=True, passes=40, batch_size=32, random_state=0)
    attack.fit(faces(128, 1), np.ones(128, np.int64))
    assert (halves.predict(attack.apply(faces(64, 2))).argmax(1) == 1).mean() > 0.9
    with pytest.raises(PriemoError, match="one target only"):
        attack.fit(faces(4, 1), np.array([0, 1, 0, 1]))


def test_use_looks_into_no_classifier_and_a_file_keeps_it(
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


def test_what_is_not_fitted_is_said(halves: PyTorchClassifier, tmp_path: Path) -> None:
    with pytest.raises(PriemoError, match="call fit"):
        GAP(halves).apply(faces(2, 0))
    with pytest.raises(PriemoError, match="call fit"):
        GAP(halves).save(tmp_path / "none.safetensors")


def test_scaling_is_to_the_bound_and_never_up() -> None:
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
