"""SSIM against scikit-image, and the promise that a matched image keeps its budget."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from priemo_bench.contracts.image import ByteImages
from priemo_bench.errors import PriemoError
from priemo_bench.quality import budget as budgets
from priemo_bench.quality import structural as quality
from priemo_bench.quality.budget import Budget, match_budget, publish_scaled
from priemo_bench.quality.pixel import linf, psnr
from priemo_bench.quality.structural import ssim


def faces(n: int, channels: int, side: int, seed: int = 0) -> ByteImages:
    """Smooth random pictures with flat parts and edges."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, channels, side // 4 + 1, side // 4 + 1), dtype=np.uint8)
    return np.kron(coarse, np.ones((4, 4), np.uint8))[..., :side, :side].copy()


def noisy(x: ByteImages, levels: int, seed: int = 1) -> ByteImages:
    noise = np.random.default_rng(seed).integers(-levels, levels + 1, x.shape)
    return np.clip(x.astype(int) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [48, 61, 112, 171])
def test_ssim_is_scikit_images(channels: int, side: int) -> None:
    x = faces(3, channels, side)
    y = noisy(x, 9)
    for i, (inner, full) in enumerate(zip(ssim(x, y, border=False), ssim(x, y), strict=True)):
        expected, map_ = structural_similarity(
            x[i] / 255, y[i] / 255, channel_axis=0, data_range=1, gaussian_weights=True,
            sigma=1.5, use_sample_covariance=False, full=True,
        )  # fmt: skip
        assert inner == pytest.approx(expected, abs=1e-6)
        assert full == pytest.approx(map_.mean(), abs=1e-6)


def test_ssim_is_one_for_equal_and_symmetric() -> None:
    x = faces(2, 1, 48)
    y = noisy(x, 20)
    assert ssim(x, x) == pytest.approx(1)
    assert ssim(x, y) == pytest.approx(ssim(y, x))


def test_psnr_and_linf() -> None:
    x = faces(2, 3, 32)
    y = noisy(x, 5)
    for i in range(2):
        expected = peak_signal_noise_ratio(x[i], y[i], data_range=255)
        assert psnr(x, y)[i] == pytest.approx(expected)
        assert linf(x, y)[i] * 255 == np.abs(x[i].astype(int) - y[i]).max()
    assert np.isinf(psnr(x, x)).all()


@pytest.mark.parametrize("shape", [(6, 1, 48), (2, 3, 512)])
@pytest.mark.parametrize("floor", [0.999, 0.997, 0.95])
def test_matched_images_keep_the_budget_and_come_close_to_it(
    floor: float, shape: tuple[int, int, int]
) -> None:
    x = faces(*shape)
    budget = Budget(floor, 8 / 255)
    matched = match_budget(x, noisy(x, 20) / np.float32(255), budget)
    assert budget.holds(x, matched).all()
    both = np.minimum(ssim(x, matched), ssim(x, matched, border=False))
    assert (both >= floor - 1e-6).all()
    at_cap = linf(x, matched) == 8 / 255
    assert (((1 - both) > 0.85 * (1 - floor)) | at_cap).all()


@pytest.mark.parametrize("kept_back", [-0.2, 1e-3])
def test_what_single_precision_let_pass_is_put_right(
    kept_back: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgets, "SINGLE_PRECISION", kept_back)
    computed, compute = [], quality.SSIMReference.ssim

    def counted(self: quality.SSIMReference, y: torch.Tensor) -> Any:
        computed.append(y.dtype)
        return compute(self, y)

    monkeypatch.setattr(quality.SSIMReference, "ssim", counted)
    x = faces(6, 1, 48)
    matched = match_budget(x, noisy(x, 20) / np.float32(255), Budget(0.99, None))
    assert len(computed) <= 15
    assert (computed.count(torch.float64) > 1) == (kept_back < 0)
    drop = 1 - np.minimum(ssim(x, matched), ssim(x, matched, border=False))
    assert (drop <= 0.01 + 1e-7).all()
    assert (drop > 0.0085).all()


def test_what_keeps_the_budget_is_left_alone_where_it_may_only_shrink() -> None:
    x = faces(3, 3, 48)
    y = x.copy()
    y[:, :, 20, 20] ^= 1
    budget = Budget(0.997, 8 / 255)
    assert np.array_equal(match_budget(x, y / np.float32(255), budget, grow=False), y)


@pytest.mark.parametrize("budget", [Budget(0.99, None), Budget(38, None, "psnr")])
@pytest.mark.parametrize("strength", [0.02, 1, 30])
def test_every_perturbation_lands_from_below_and_above(budget: Budget, strength: float) -> None:
    """The factor is that of a root search by scipy on the same dithered image."""
    x = faces(4, 1, 48)
    direction = np.random.default_rng(5).normal(size=x.shape).astype(np.float32)
    changed = (x / np.float32(255) + strength * direction / 255).clip(0, 1).astype(np.float32)
    landed = match_budget(x, changed, budget, dither=True)
    assert budget.holds(x, landed).all()
    loss = 1 - np.minimum(ssim(x, landed), ssim(x, landed, False)) if budget.measure == "ssim" \
        else 10 ** (-psnr(x, landed) / 10)  # fmt: skip
    allowed = 0.01 if budget.measure == "ssim" else 10**-3.8
    assert (loss > 0.98 * allowed).all()


def test_mean_squared_error_of_a_psnr_floor() -> None:
    x = faces(2, 3, 32)
    y = noisy(x, 5)
    floor = float(psnr(x, y)[0])
    assert Budget(floor, None, "psnr").holds(x[:1], y[:1]).all()
    assert not Budget(floor + 0.01, None, "psnr").holds(x[:1], y[:1]).any()


def test_two_floors_are_one_too_many() -> None:
    with pytest.raises(PriemoError, match="give one floor"):
        Budget.of(0.997, None, 45)
    with pytest.raises(PriemoError, match="psnr_floor is -1"):
        Budget(-1, None, "psnr")
    assert Budget.of(None, None, 45) == Budget(45, None, "psnr")


def test_dithering_publishes_what_rounding_to_the_nearest_level_would_lose() -> None:
    smooth = np.full((2, 1, 48, 48), 120, np.uint8)
    signs = np.where(np.random.default_rng(0).random(smooth.shape) < 0.5, -1, 1)
    changed = (smooth + signs) / np.float32(255)
    budget = Budget(0.997, 8 / 255)
    assert not budget.holds(smooth, (smooth + signs).astype(np.uint8)).any()
    assert np.array_equal(match_budget(smooth, changed, budget), smooth)  # all or nothing
    dithered = match_budget(smooth, changed, budget, dither=True)
    assert budget.holds(smooth, dithered).all()
    assert (1 - np.minimum(ssim(smooth, dithered), ssim(smooth, dithered, False)) > 0.002).all()
    moved = dithered.astype(int) - smooth
    assert ((moved == 0) | (moved == signs)).all()
    half = publish_scaled(smooth, changed, 0.5, budget).astype(int) - smooth
    assert (half != 0).mean() == pytest.approx(0.5, abs=0.05)
    assert np.array_equal(publish_scaled(smooth, changed, 1, budget), smooth + signs)


def test_a_weak_perturbation_is_strengthened_up_to_the_cap() -> None:
    x = faces(2, 1, 48)
    weak = noisy(x, 1)
    landed = match_budget(x, weak / np.float32(255), Budget(0.5, 4 / 255))
    assert np.array_equal(landed, (x + 4 * (weak.astype(int) - x)).clip(0, 255))


def test_without_a_floor_only_the_cap_counts() -> None:
    x = faces(2, 1, 48)
    assert linf(x, match_budget(x, noisy(x, 30) / np.float32(255), Budget(None, 3 / 255))).max() \
        == pytest.approx(3 / 255)  # fmt: skip


@pytest.mark.parametrize("floor", [1.0, 0.0, -1, 1.5, float("nan")])
def test_impossible_floors_are_refused(floor: float) -> None:
    with pytest.raises(PriemoError, match="ssim_floor"):
        Budget(floor)


@pytest.mark.parametrize("eps", [0.0, 1.01, 8, float("nan")])
def test_impossible_caps_are_refused(eps: float) -> None:
    with pytest.raises(PriemoError, match="eps"):
        Budget(0.9, eps)


def test_a_picture_smaller_than_the_window_is_refused() -> None:
    with pytest.raises(PriemoError, match="at least 11"):
        ssim(faces(1, 1, 8), faces(1, 1, 8))
