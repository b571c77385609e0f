"""Smoothing filters."""

from __future__ import annotations

from dataclasses import dataclass

from priemo_bench.contracts.image import (
    ByteImages,
    FloatImages,
    check_bytes,
    check_images,
    to_float,
)
from priemo_bench.errors import require


@dataclass(frozen=True)
class Median:
    """Median smoothing, per channel, borders reflected (Xu, Evans & Qi 2018, arXiv:1704.01155).

    Attributes:
        window: side in pixels.
    """

    window: int = 3

    def __post_init__(self) -> None:
        require(self.window >= 2, "window", self.window, "at least 2 pixels")

    def __call__(self, x: ByteImages, /) -> FloatImages:
        from art.defences.preprocessor import SpatialSmoothing

        smooth = SpatialSmoothing(self.window, channels_first=True)
        return to_float(smooth(check_bytes(x))[0])


@dataclass(frozen=True)
class Blur:
    """Gaussian blur, per channel, borders reflected.

    Attributes:
        sigma: standard deviation in pixels.
    """

    sigma: float = 0.8

    def __post_init__(self) -> None:
        require(self.sigma > 0, "sigma", self.sigma, "above 0 pixels")

    def __call__(self, x: ByteImages, /) -> FloatImages:
        from scipy.ndimage import gaussian_filter

        return check_images(gaussian_filter(to_float(x), (0, 0, self.sigma, self.sigma)))
