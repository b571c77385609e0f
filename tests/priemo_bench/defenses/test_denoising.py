"""Denoising and changes of brightness against scikit-image and closed forms, image by image."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import color, exposure, restoration

from priemo_bench import defenses as d
from priemo_bench.defenses.denoising import noise_of
from priemo_bench.errors import PriemoError


def pixels(image: np.ndarray) -> np.ndarray:
    return image.transpose(1, 2, 0).squeeze() / 255


def planes(image: np.ndarray) -> np.ndarray:
    return image[None] if image.ndim == 2 else image.transpose(2, 0, 1)


@pytest.mark.parametrize("weight", [0.03, 0.1])
def test_total_variation_is_the_minimum_of_its_objective(
    weight: float, rendered: np.ndarray
) -> None:
    """Chambolle's: |u - x|^2 / 2 + weight TV(u); near it nothing is lower, far from it all is."""
    x = rendered[:2, :1]

    def objective(u: np.ndarray) -> float:
        rows, columns = (np.diff(u, axis=a, append=np.take(u, [-1], a)) for a in (2, 3))
        return float(((u - x / 255) ** 2).sum() / 2 + weight * np.hypot(rows, columns).sum())

    out = d.TotalVariation(weight)(x).astype(float)
    assert objective(out) < 0.95 * objective(x / 255)
    rng = np.random.default_rng(0)
    for size in (0.003, 0.01):
        assert objective(out) < objective(out + size * rng.standard_normal(out.shape))
    for other in (d.TotalVariation(weight / 2), d.TotalVariation(2 * weight), d.blur):
        assert objective(out) < objective(other(x).astype(float))


def test_non_local_means_equals_scikit_image(faces: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    x = np.rint(faces[:2] + 5 * rng.standard_normal(faces[:2].shape)).clip(0, 255)
    x = x.astype(np.uint8)
    for image, out in zip(x, d.nlm(x), strict=True):
        axis = -1 if len(image) == 3 else None
        own = pixels(image)
        sigma = restoration.estimate_sigma(own, average_sigmas=True, channel_axis=axis)
        assert noise_of(own) == pytest.approx(sigma)
        assert 3 / 255 < sigma < 7 / 255
        expected = restoration.denoise_nl_means(
            own, 5, 5, 0.8 * sigma, sigma=sigma, fast_mode=True, channel_axis=axis
        )
        assert np.allclose(out, planes(expected), atol=1e-6)


def test_wavelet_equals_scikit_image(faces: np.ndarray) -> None:
    for image, out in zip(faces, d.wavelet(faces), strict=True):
        own = pixels(image)
        options = {"method": "BayesShrink", "mode": "soft", "rescale_sigma": True}
        if len(image) == 3:
            options |= {"convert2ycbcr": True, "channel_axis": -1}
        expected = restoration.denoise_wavelet(own, **options)
        assert np.allclose(out, planes(expected).clip(0, 1), atol=1e-6)


@pytest.mark.parametrize("filter_", [d.nlm, d.wavelet, d.tv003], ids=str)
def test_denoising_takes_noise_away(filter_: d.Wavelet, rendered: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    noisy = np.rint(rendered + 8 * rng.standard_normal(rendered.shape)).clip(0, 255)
    noisy = noisy.astype(np.uint8)
    before = ((noisy / 255 - rendered / 255) ** 2).mean()
    assert ((filter_(noisy) - rendered / 255) ** 2).mean() < 0.6 * before


@pytest.mark.parametrize("gamma", [0.7, 1.4])
def test_gamma_is_a_power(gamma: float, x: np.ndarray) -> None:
    assert np.allclose(d.Gamma(gamma)(x), (x / 255) ** gamma, atol=1e-6)


def test_clahe_equals_scikit_image(faces: np.ndarray) -> None:
    for image, out in zip(faces, d.clahe(faces), strict=True):
        expected = exposure.equalize_adapthist(pixels(image))
        assert np.allclose(out, planes(expected), atol=2e-4)  # skimage has 2^14 levels in between


def test_equalise_equals_scikit_image_and_flattens_the_histogram(faces: np.ndarray) -> None:
    for image, out in zip(faces, d.equalise(faces), strict=True):
        own = pixels(image)
        if len(image) == 1:
            expected = exposure.equalize_hist(own)
            below = np.searchsorted(np.sort(own.ravel()), own, "right") / own.size
            coarsest = np.unique(own, return_counts=True)[1].max() / own.size
            assert np.abs(out[0] - below).max() <= coarsest
        else:
            hsv = color.rgb2hsv(own)
            hsv[..., 2] = exposure.equalize_hist(hsv[..., 2])
            expected = color.hsv2rgb(hsv)
        assert np.allclose(out, planes(expected), atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: d.TotalVariation(0), lambda: d.NonLocalMeans(0), lambda: d.Gamma(0),
        lambda: d.CLAHE(0),
    ],
)  # fmt: skip
def test_settings_outside_their_range_are_named(make: object) -> None:
    with pytest.raises(PriemoError, match="must be"):
        make()  # type: ignore[operator]
