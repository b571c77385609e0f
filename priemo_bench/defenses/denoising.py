"""Denoising without learning, scikit-image's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from priemo_bench.contracts.image import ByteImages, FloatImages
from priemo_bench.defenses.applied import Floats, each_image
from priemo_bench.defenses.described import Described
from priemo_bench.errors import require

NO_NOISE = 1e-6
"""A standard deviation below this, of images in [0, 1], is rounding."""


def _channel_axis(image: Floats) -> int | None:
    return None if image.ndim == 2 else -1


@dataclass(frozen=True)
class TotalVariation(Described):
    """Total-variation denoising (Chambolle 2004), per channel.

    Attributes:
        weight: the greater, the flatter.
    """

    does = "total variation, weight {0.weight:g}"
    kind = "total variation"
    knob = "weight"
    source = "Chambolle 2004, J. Math. Imaging Vis. 20, 89; scikit-image"

    weight: float = 0.1

    def __post_init__(self) -> None:
        require(self.weight > 0, "weight", self.weight, "above 0")

    def __call__(self, x: ByteImages, /) -> FloatImages:
        return each_image(x, self._denoised)

    def _denoised(self, image: Floats) -> Floats:
        from skimage.restoration import denoise_tv_chambolle

        out: Floats = denoise_tv_chambolle(  # type: ignore[no-untyped-call]
            image, self.weight, channel_axis=_channel_axis(image)
        )
        return out


@dataclass(frozen=True)
class NonLocalMeans(Described):
    """Non-local means (Buades, Coll & Morel 2005), patches of 5 x 5 within 11 x 11 pixels.

    Attributes:
        h: cut-off of the distance of patches, in standard deviations of the noise, which is
            estimated for each image.
    """

    does = "non-local means, h {0.h:g} sigma, patches of 5 x 5 in 11 x 11 pixels"
    kind = "non-local means"
    knob = "h"
    source = "Buades, Coll & Morel 2005, doi 10.1109/CVPR.2005.38; scikit-image"

    h: float = 0.8

    def __post_init__(self) -> None:
        require(self.h > 0, "h", self.h, "above 0")

    def __call__(self, x: ByteImages, /) -> FloatImages:
        return each_image(x, self._denoised)

    def _denoised(self, image: Floats) -> Floats:
        from skimage.restoration import denoise_nl_means

        sigma = noise_of(image)
        if sigma < NO_NOISE:
            return image
        out: Floats = denoise_nl_means(
            image, patch_size=5, patch_distance=5, h=self.h * sigma, sigma=sigma, fast_mode=True,
            channel_axis=_channel_axis(image),
        )  # fmt: skip
        return out


def noise_of(image: Floats) -> float:
    """Standard deviation of an image's noise, the mean over its channels (Donoho 1994).

    As scikit-image's `estimate_sigma`, which has none for a channel without diagonal detail.
    """
    import pywt
    from skimage.restoration import estimate_sigma

    channels = np.atleast_3d(image).transpose(2, 0, 1)
    estimated = [
        float(estimate_sigma(channel))  # type: ignore[no-untyped-call]
        for channel in channels
        if pywt.dwt2(channel, "db2")[1][2].any()
    ]
    return sum(estimated) / len(channels)


@dataclass(frozen=True)
class Wavelet(Described):
    """Soft wavelet shrinkage, BayesShrink (Chang, Yu & Vetterli 2000), RGB as luma and chroma."""

    does = "soft wavelet shrinkage, BayesShrink"
    kind = "wavelet"
    source = "Chang, Yu & Vetterli 2000, doi 10.1109/83.862633; scikit-image"

    def __call__(self, x: ByteImages, /) -> FloatImages:
        return each_image(x, self._denoised)

    def _denoised(self, image: Floats) -> Floats:
        from skimage.color import rgb2ycbcr, ycbcr2rgb

        if image.ndim == 2:
            return _shrunk(image)
        planes = rgb2ycbcr(image)
        for plane in np.moveaxis(planes, -1, 0):
            low, span = plane.min(), np.ptp(plane)
            if span > 0:
                plane[:] = _shrunk((plane - low) / span) * span + low
        out: Floats = ycbcr2rgb(planes)
        return out


def _shrunk(channel: Floats) -> Floats:
    """(h, w); as it is where it has no diagonal detail, from which the noise is estimated."""
    import pywt
    from skimage.restoration import denoise_wavelet

    if not pywt.dwt2(channel, "db1")[1][2].any():
        return channel
    out: Floats = denoise_wavelet(channel, method="BayesShrink", mode="soft", rescale_sigma=True)
    return out
