"""The informed purifier: a shared perturbation goes, harm is not done, wrong pairs are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from priemo_bench.adversaries import pairs
from priemo_bench.adversaries.pairs import Pairs
from priemo_bench.adversaries.purifier import Subtraction, fitted
from priemo_bench.contracts.defense import HasStandIn, described
from priemo_bench.errors import PriemoError
from priemo_bench.testing import toy_faces


@pytest.fixture(autouse=True)
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many steps as toys need."""
    monkeypatch.setattr(pairs, "STEPS", 8)


def faces(n: int, seed: int, size: int = 16, channels: int = 1) -> np.ndarray:
    images = gaussian_filter(toy_faces(n, channels, size, seed)[0], (0, 0, 2, 2))
    return np.rint(20 + 215 * images).astype(np.uint8)


def shifted(x: np.ndarray, change: np.ndarray) -> np.ndarray:
    return np.rint(x + change).clip(0, 255).astype(np.uint8)


def error(a: np.ndarray, b: np.ndarray) -> float:
    """Mean squared, in grey levels."""
    return float(((255 * a - 255 * b) ** 2).mean())


@pytest.mark.parametrize("channels", [1, 3])
def test_before_training_the_mean_perturbation_is_subtracted(channels: int) -> None:
    clean = faces(30, 0, channels=channels)
    pattern = np.random.default_rng(0).integers(-5, 6, clean.shape[1:])
    given = Pairs.of(clean, shifted(clean, pattern))
    found = Subtraction(given)(given.held_protected)
    assert torch.allclose(found, given.held_clean, atol=1e-6)


def test_a_shared_perturbation_goes_and_so_does_one_that_is_not() -> None:
    clean, rng = faces(240, 0), np.random.default_rng(0)
    pattern = rng.integers(-4, 5, clean.shape[1:])
    protected = shifted(clean, pattern + 4 * rng.choice([-1, 1], clean.shape))
    purify = fitted(clean[:200], protected[:200], seed=0)
    out = purify(protected[200:])
    assert error(out, clean[200:] / 255) < 0.5 * error(
        shifted(clean, 4)[200:] / 255, clean[200:] / 255
    )
    assert (out.dtype, out.shape) == (np.float32, clean[200:].shape)
    assert 0 <= out.min() <= out.max() <= 1


def test_a_purifier_is_a_defense_of_each_image_on_its_own() -> None:
    clean = faces(30, 0)
    protected = shifted(clean, np.random.default_rng(0).normal(0, 3, clean.shape))
    torch.manual_seed(3)
    before = torch.get_rng_state()
    purify = fitted(clean, protected, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    out = purify(protected)
    assert np.array_equal(out, np.concatenate([purify(x[None]) for x in protected]))
    assert np.array_equal(out, fitted(clean, protected, seed=1)(protected))
    assert isinstance(purify, HasStandIn)
    x = torch.from_numpy(protected[:2] / 255).requires_grad_()
    smooth = purify.smooth(x)
    assert np.abs(smooth.detach().numpy() - out[:2]).max() < 1e-5
    (slope,) = torch.autograd.grad(smooth.square().sum(), x)
    assert slope.dtype == torch.float64
    assert (slope.abs().amax((1, 2, 3)) > 0).all()
    assert "30 leaked pairs" in described(purify)[0]


def test_what_cannot_be_learnt_does_no_harm() -> None:
    """Clean faces leaked as protected ones stay as they are."""
    clean = faces(40, 0)
    assert error(fitted(clean, clean)(clean), clean / 255) < 0.1


@pytest.mark.slow
def test_cut_outs_of_larger_images_are_learnt_from() -> None:
    clean = faces(20, 0, size=60, channels=3)
    purify = fitted(clean, shifted(clean, 3))
    assert error(purify(shifted(clean, 3)), clean / 255) < 1
    with pytest.raises(PriemoError, match="learnt from"):
        purify(faces(1, 0, size=48, channels=3))


def test_wrong_pairs_are_refused() -> None:
    with pytest.raises(PriemoError, match="at least 20"):
        fitted(faces(19, 0), faces(19, 0))
    with pytest.raises(PriemoError, match="must be pairs"):
        fitted(faces(20, 0), faces(20, 0, size=32))
    with pytest.raises(PriemoError, match="uint8"):
        fitted(faces(20, 0) / 255, faces(20, 0) / 255)
