"""What a victim does to a published image before it reads it.

A defense is called with published images, uint8 (n, 1 or 3, h, w), and returns what the victim is
shown: floats in [0, 1] of the same shape, equal for equal input, each image on its own. Defenses
are found by entry points of group `priemo_bench.defenses`; ART's preprocessors do the work where
they can, on a scale of 0 to 255, where they neither truncate nor lose precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from priemo_bench.errors import PriemoError
from priemo_bench.images import Bytes, Floats, check_bytes, check_images, to_float


class Defense(Protocol):
    """What an entry point of group `priemo_bench.defenses` points at."""

    def __call__(self, x: Bytes, /) -> Floats:
        """(n, 1 or 3, h, w) uint8 to float32 in [0, 1] of the same shape; `x` is not modified."""
        ...


@dataclass(frozen=True)
class Nothing:
    """The victim reads the published image as it is."""

    def __call__(self, x: Bytes, /) -> Floats:
        return to_float(x)


@dataclass(frozen=True)
class Jpeg:
    """JPEG compression, grey as mode L (Dziugaite, Ghahramani & Roy 2016, arXiv:1608.00853).

    Attributes:
        quality: Pillow's, 1 (worst) to 95 (best).
    """

    quality: int = 75

    def __post_init__(self) -> None:
        _require(1 <= self.quality <= 95, "quality", self.quality, "an integer from 1 to 95")

    def __call__(self, x: Bytes, /) -> Floats:
        from art.defences.preprocessor import JpegCompression

        # With clip values (0, 1) ART truncates x * 255 to 8 bits, which darkens some pixels by 1.
        compress = JpegCompression((0, 255), quality=self.quality, channels_first=True)
        return to_float(compress(check_bytes(x))[0].astype(np.uint8))


@dataclass(frozen=True)
class Median:
    """Median smoothing, per channel, borders reflected (Xu, Evans & Qi 2018, arXiv:1704.01155).

    Attributes:
        window: side in pixels.
    """

    window: int = 3

    def __post_init__(self) -> None:
        _require(self.window >= 2, "window", self.window, "at least 2 pixels")

    def __call__(self, x: Bytes, /) -> Floats:
        from art.defences.preprocessor import SpatialSmoothing

        smooth = SpatialSmoothing(self.window, channels_first=True)
        return to_float(smooth(check_bytes(x))[0])


@dataclass(frozen=True)
class Bits:
    """Bit-depth reduction: feature squeezing (Xu, Evans & Qi 2018, arXiv:1704.01155).

    Attributes:
        depth: bits a channel keeps, 1 to 7.
    """

    depth: int = 4

    def __post_init__(self) -> None:
        _require(1 <= self.depth <= 7, "depth", self.depth, "an integer from 1 to 7")

    def __call__(self, x: Bytes, /) -> Floats:
        from art.defences.preprocessor import FeatureSqueezing

        # ART multiplies by a float64 scalar; since NumPy 2 (NEP 50) that makes the array float64,
        # which no float32 estimator takes. The values are right: check_images casts them back.
        squeeze = FeatureSqueezing((0, 1), bit_depth=self.depth)
        return check_images(squeeze(to_float(x))[0])


@dataclass(frozen=True)
class Blur:
    """Gaussian blur, per channel, borders reflected.

    Attributes:
        sigma: standard deviation in pixels.
    """

    sigma: float = 0.8

    def __post_init__(self) -> None:
        _require(self.sigma > 0, "sigma", self.sigma, "above 0 pixels")

    def __call__(self, x: Bytes, /) -> Floats:
        from scipy.ndimage import gaussian_filter

        return check_images(gaussian_filter(to_float(x), (0, 0, self.sigma, self.sigma)))


def _require(holds: bool, name: str, value: float, wanted: str) -> None:
    if not holds:
        raise PriemoError(f"{name} is {value}; it must be {wanted}")


none = Nothing()
jpeg75 = Jpeg(75)
jpeg50 = Jpeg(50)
median3 = Median(3)
bits4 = Bits(4)
blur = Blur(0.8)
