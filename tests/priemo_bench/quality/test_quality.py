"""SSIM against scikit-image, and the promise that a matched image keeps its budget."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
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


def pictures(side: int) -> ByteImages:
    """White, black, grey, a face, noise, lines and text: (7, 1, side, side)."""
    rng = np.random.default_rng(3)
    flat = [np.full((side, side), level, np.uint8) for level in (255, 0, 128)]
    lines = np.full((side, side), 255, np.uint8)
    lines[::7], lines[:, ::5] = 0, 40
    text = np.where(rng.random((side, side)) < 0.05, 0, 255).astype(np.uint8)
    noise = rng.integers(0, 256, (side, side), dtype=np.uint8)
    return np.stack([*flat, faces(1, 1, side)[0, 0], noise, lines, text])[:, None]


@pytest.mark.parametrize("levels", [1, 3, 60])
@pytest.mark.parametrize("side", [11, 48, 112])
def test_single_precision_errs_by_less_than_what_is_kept_back(side: int, levels: int) -> None:
    x = pictures(side)
    shifted = np.clip(x.astype(int) + levels, 0, 255).astype(np.uint8)
    few = np.where(np.random.default_rng(0).random(x.shape) < 0.02, noisy(x, levels), x)
    for y in (noisy(x, levels), shifted, few):
        single, double = (
            quality.drops(torch.from_numpy(x), torch.from_numpy(y), dtype)
            for dtype in (torch.float32, torch.float64)
        )
        assert ((single - double).abs() <= 0.5 * budgets.SINGLE_PRECISION * double + 1e-12).all()


@pytest.mark.parametrize("dither", [False, True])
def test_pictures_of_every_kind_keep_the_budget_in_few_evaluations(
    dither: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: Counter[int] = Counter()

    def counted(x: torch.Tensor, y: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        assert dtype == torch.float32
        for image in x:
            computed[hash(image.numpy().tobytes())] += 1
        return quality.drops(x, y, dtype)

    x = pictures(48)
    with monkeypatch.context() as patched:
        patched.setattr(budgets, "drops", counted)
        matched = match_budget(x, noisy(x, 20) / np.float32(255), Budget(0.99, None), True, dither)
    assert len(computed) == len(x)
    assert max(computed.values()) <= budgets.EVALUATIONS
    assert Budget(0.99, None).holds(x, matched).all()


@pytest.mark.parametrize("block", [1, 2**13, 2**30])
def test_results_do_not_depend_on_the_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = faces(5, 3, 33)
    y = noisy(x, 9)
    change = noisy(x, 20) / np.float32(255)
    expected, landed = quality.ssim_means(x, y), match_budget(x, change, Budget(0.98, None))
    monkeypatch.setattr(quality, "PAIRS", block)
    monkeypatch.setattr(quality, "BLOCK", block)
    assert np.array(quality.ssim_means(x, y)) == pytest.approx(np.array(expected), abs=1e-12)
    assert (match_budget(x, change, Budget(0.98, None)) == landed).mean() > 0.999


def test_blur_is_scipys_filter_and_unblur_its_transpose() -> None:
    rng = np.random.default_rng(0)
    for shape in ((2, 3, 61, 48), (1, 1, 11, 130), (25, 24)):
        x, y = (torch.from_numpy(rng.normal(size=shape)) for _ in range(2))
        expected = gaussian_filter(x.numpy(), 1.5, radius=5, axes=(-2, -1))
        assert torch.allclose(quality.blur(x), torch.from_numpy(expected))
        assert float((quality.blur(x) * y).sum()) == pytest.approx(
            float((x * quality.unblur(y)).sum())
        )
    assert quality.blur(torch.zeros(0, 3, 48, 48)).shape == (0, 3, 48, 48)


@pytest.mark.parametrize("n", [1, 2])
def test_blur_of_strided_planes_is_that_of_contiguous_ones(n: int) -> None:
    """A photo as (h, w, c), rows and columns swapped, every second row, one plane repeated."""
    x = torch.rand(n, 3, 40, 24)
    views = {
        "channels last": x.contiguous(memory_format=torch.channels_last),
        "transposed": x.mT.contiguous().mT,
        "sliced": x.repeat_interleave(2, 2)[:, :, ::2],
    }
    for name, view in views.items():
        assert not view.is_contiguous()
        assert torch.equal(quality.blur(view), quality.blur(x)), name
        assert torch.equal(quality.unblur(view), quality.unblur(x)), name
    repeated = x[:, :1].expand(n, 3, 40, 24)
    assert torch.equal(quality.blur(repeated), quality.blur(repeated.contiguous()))


def test_the_gradient_of_ssim_is_that_of_finite_differences() -> None:
    x, y = (torch.from_numpy(noisy(faces(2, 1, 13), 9, k) / 255.0) for k in range(2))
    reference = quality.SSIMReference(x)
    assert torch.autograd.gradcheck(reference.ssim, y.requires_grad_())


def test_both_means_come_from_one_call_in_either_precision() -> None:
    x = faces(3, 3, 48)
    y = noisy(x, 9)
    expected = np.array([ssim(x, y, border=False), ssim(x, y)])
    assert np.array_equal(quality.ssim_means(x, y), expected)
    single = np.array(quality.ssim_means(x, y, dtype=torch.float32))
    assert single == pytest.approx(expected, abs=1e-6)
    reference = quality.SSIMReference(torch.from_numpy(x / 255.0))
    means = torch.stack(reference.ssim(torch.from_numpy(y / 255.0))).numpy()
    assert means == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("end", [0.0, 1 - 2**-24])
def test_dithering_never_moves_beyond_the_cap(end: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor a pixel that the perturbation leaves alone, whatever threshold is drawn."""
    x = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    monkeypatch.setattr(torch, "rand", lambda shape, generator: torch.full(shape, end))
    for sign in (-30, 30):
        change = np.where(x % 3 == 0, sign, 0)
        wish = (x + change).clip(0, 255) / np.float32(255)
        moved = publish_scaled(x, wish, 5, Budget(None, 8 / 255)).astype(int) - x
        assert np.abs(moved).max() == 8
        assert (moved[change == 0] == 0).all()


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
