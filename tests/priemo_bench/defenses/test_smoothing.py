"""Smoothing, squeezing and noise against numpy, scipy and scikit-image, image by image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import wiener
from skimage.filters import gaussian
from skimage.restoration import denoise_bilateral

from priemo_bench import defenses as d
from priemo_bench.errors import PriemoError


def test_none_is_the_published_image(x: np.ndarray) -> None:
    assert np.array_equal(np.rint(d.none(x) * 255), x)


@pytest.mark.parametrize("window", [3, 5])
def test_median_equals_sorting_each_window(window: int, x: np.ndarray) -> None:
    edge = (window // 2, window // 2)
    padded = np.pad(x, ((0, 0), (0, 0), edge, edge), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (window, window), axis=(2, 3))
    expected = np.sort(windows.reshape(*x.shape, -1), axis=-1)[..., window**2 // 2]
    assert np.array_equal(np.rint(d.Median(window)(x) * 255), expected)


@pytest.mark.parametrize("sigma", [0.5, 0.8, 1, 1.5])
def test_blur_equals_scikit_image(sigma: float, x: np.ndarray) -> None:
    for image, out in zip(x, d.Blur(sigma)(x), strict=True):
        expected = gaussian(image / 255, sigma=sigma, channel_axis=0, mode="reflect")
        assert np.allclose(out, expected, atol=1e-6)


def test_bilateral_equals_its_formula(x: np.ndarray) -> None:
    steps = np.arange(-2, 3)
    near = np.exp(-(steps[:, None] ** 2 + steps**2) / (2 * 1.5**2))
    for image, out in zip(x / 255, d.bilateral(x), strict=True):
        around = np.pad(image, ((0, 0), (2, 2), (2, 2)), mode="symmetric")
        for i, j in [(0, 0), (0, 47), (20, 31), (47, 5)]:
            window = around[:, i : i + 5, j : j + 5]
            unlike = ((window - image[:, i, j, None, None]) ** 2).mean(0)
            weight = near * np.exp(-unlike / (2 * 0.1**2))
            expected = (weight * window).sum((1, 2)) / weight.sum()
            assert np.allclose(out[:, i, j], expected, atol=1e-6)


def test_bilateral_equals_scikit_image_where_space_does_not_count(rendered: np.ndarray) -> None:
    """Its spatial weights are misplaced (a table of 6 x 6 read as 5 x 5), its others are not."""
    x = rendered[:, :1]
    for image, out in zip(x, d.Bilateral(5, 0.1, 1e6)(x), strict=True):
        expected = denoise_bilateral(image[0] / 255, 5, 0.1, 1e6, mode="symmetric")
        assert np.allclose(out[0], expected, atol=1e-4)  # 10,000 steps of colour


def test_bilateral_treats_grey_and_the_same_as_rgb_alike(rendered: np.ndarray) -> None:
    grey = rendered[:, :1]
    assert np.allclose(d.bilateral(grey.repeat(3, 1)), d.bilateral(grey), atol=1e-6)


def test_bilateral_keeps_an_edge_that_a_blur_does_not() -> None:
    x = np.zeros((1, 1, 16, 16), np.uint8)
    x[..., 8:] = 255
    assert np.abs(d.bilateral(x) - x / 255).max() < 1e-6
    assert np.abs(d.blur(x) - x / 255).max() > 0.1


def test_wiener_equals_scipy_but_for_its_black_border(x: np.ndarray) -> None:
    x = (x // 2 + np.random.default_rng(0).integers(0, 128, x.shape)).astype(np.uint8)
    for image, out in zip(x, d.wiener3(x), strict=True):
        for channel, filtered in zip(image / 255, out, strict=True):
            padded = np.pad(channel, 1, mode="symmetric")
            windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
            noise = windows.var(axis=(2, 3)).mean()
            expected = wiener(padded, 3, noise)[1:-1, 1:-1]
            assert np.allclose(filtered, expected, atol=1e-6)


@pytest.mark.parametrize("depth", [3, 4, 5, 6])
def test_bits_keep_evenly_spaced_levels(depth: int, x: np.ndarray) -> None:
    levels = np.arange(2**depth) / (2**depth - 1)
    nearest = np.abs(x[..., None] / 255 - levels).argmin(-1)
    assert np.allclose(d.Bits(depth)(x), levels[nearest], atol=1e-6)


def test_noise_has_its_sigma_and_depends_on_seed_and_image_only() -> None:
    """A blur of white noise has a known variance: the sum of its squared weights."""
    x = np.full((6, 1, 64, 64), 128, np.uint8)
    x[3:] += 1
    blur = d.Blur(0.8)
    out = d.NoisySmoothing(8, blur)(x) * 255 - x
    one = np.zeros((1, 1, 33, 33), np.uint8)
    one[..., 16, 16] = 255
    shrink = np.sqrt((blur(one).astype(float) ** 2).sum())
    assert out[[0, 3]].std() == pytest.approx(8 * shrink, rel=0.05)
    assert abs(out[[0, 3]].mean()) < 0.3
    assert np.array_equal(out[0], out[1])
    assert abs(np.corrcoef(out[0].ravel(), out[3].ravel())[0, 1]) < 0.1
    other = d.NoisySmoothing(8, blur).draw(1)(x[:1]) * 255 - x[:1]
    assert abs(np.corrcoef(out[0].ravel(), other.ravel())[0, 1]) < 0.1


@pytest.mark.parametrize(
    "make",
    [
        lambda: d.Median(1), lambda: d.Bits(8), lambda: d.Blur(0), lambda: d.Bilateral(4),
        lambda: d.Bilateral(5, 0), lambda: d.Bilateral(5, 0.1, 0), lambda: d.Wiener(1),
        lambda: d.NoisySmoothing(0, d.Blur()),
    ],
)  # fmt: skip
def test_settings_outside_their_range_are_named(make: object) -> None:
    with pytest.raises(PriemoError, match="must be"):
        make()  # type: ignore[operator]
