"""Smoothing filters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priemo_bench.contracts.image import (
    ByteImages,
    FloatImages,
    check_bytes,
    check_images,
    to_float,
)
from priemo_bench.defenses.described import Described
from priemo_bench.defenses.linear import blurred, local_mean, padded
from priemo_bench.errors import require

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Median(Described):
    """Median smoothing, per channel, borders reflected (Xu, Evans & Qi 2018, arXiv:1704.01155).

    Attributes:
        window: side in pixels.
    """

    does = "median of {0.window} x {0.window} pixels"
    kind = "median"
    knob = "window"
    source = "Xu, Evans & Qi 2018, arXiv:1704.01155; ART"

    window: int = 3

    def __post_init__(self) -> None:
        require(self.window >= 2, "window", self.window, "at least 2 pixels")

    def __call__(self, x: ByteImages, /) -> FloatImages:
        from art.defences.preprocessor import SpatialSmoothing

        smooth = SpatialSmoothing(self.window, channels_first=True)
        return to_float(smooth(check_bytes(x))[0])

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """The same: its slope goes to the pixel that is the median."""
        before = self.window // 2
        windows = padded(x, before, self.window - 1 - before)
        windows = windows.unfold(2, self.window, 1).unfold(3, self.window, 1)
        return windows.flatten(-2).median(-1).values


@dataclass(frozen=True)
class Blur(Described):
    """Gaussian blur, per channel, borders reflected.

    Attributes:
        sigma: standard deviation in pixels.
    """

    does = "Gaussian blur, sigma {0.sigma:g} pixels"
    kind = "gaussian"
    knob = "sigma"
    source = "scipy gaussian_filter"

    sigma: float = 0.8

    def __post_init__(self) -> None:
        require(self.sigma > 0, "sigma", self.sigma, "above 0 pixels")

    def __call__(self, x: ByteImages, /) -> FloatImages:
        from scipy.ndimage import gaussian_filter

        return check_images(gaussian_filter(to_float(x), (0, 0, self.sigma, self.sigma)))

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """The same, in torch."""
        return blurred(x, self.sigma)


@dataclass(frozen=True)
class Bilateral(Described):
    """Bilateral filter: a blur over pixels of similar colour (Tomasi & Manduchi 1998).

    Borders are reflected. Two colours differ by the root of their mean square over channels, so
    that a grey photo and the same as RGB come out alike. Not scikit-image's: its table of spatial
    weights is one row too long for an odd window, and the middle pixel gets the weight of another.

    Attributes:
        window: side in pixels, odd.
        sigma_color: standard deviation in colour, on a scale of 0 to 1.
        sigma_spatial: standard deviation in pixels.
    """

    does = (
        "bilateral, {0.window} x {0.window} pixels, sigma {0.sigma_color:g} in colour and "
        "{0.sigma_spatial:g} pixels"
    )
    kind = "bilateral"
    knob = "sigma_color"
    source = "Tomasi & Manduchi 1998, doi 10.1109/ICCV.1998.710815"

    window: int = 5
    sigma_color: float = 0.1
    sigma_spatial: float = 1.5

    def __post_init__(self) -> None:
        holds = self.window >= 3 and self.window % 2 == 1
        require(holds, "window", self.window, "odd and at least 3 pixels")
        require(self.sigma_color > 0, "sigma_color", self.sigma_color, "above 0")
        require(self.sigma_spatial > 0, "sigma_spatial", self.sigma_spatial, "above 0 pixels")

    def __call__(self, x: ByteImages, /) -> FloatImages:
        import torch

        with torch.no_grad():
            smoothed = [self.smooth(image[None]) for image in torch.from_numpy(to_float(x))]
        return check_images(torch.cat(smoothed).numpy())

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """The same."""
        import torch

        radius, (h, w) = self.window // 2, x.shape[2:]
        around = padded(x, radius, radius)
        total, weights = torch.zeros_like(x), torch.zeros_like(x[:, :1])
        for i, j in np.ndindex(self.window, self.window):
            shifted = around[:, :, i : i + h, j : j + w]
            apart = ((i - radius) ** 2 + (j - radius) ** 2) / self.sigma_spatial**2
            unlike = ((shifted - x) ** 2).mean(1, True) / self.sigma_color**2
            weight = torch.exp(-(apart + unlike) / 2)
            total, weights = total + weight * shifted, weights + weight
        return total / weights


@dataclass(frozen=True)
class Wiener(Described):
    """Adaptive Wiener filter, per channel, borders reflected (Lim 1990).

    Towards the local mean, by the share of the local variance that is noise; the noise is the mean
    of the local variances. scipy's has black borders, which count in its estimate of the noise.

    Attributes:
        window: side in pixels.
    """

    does = "Wiener, {0.window} x {0.window} pixels"
    kind = "wiener"
    knob = "window"
    source = "Lim 1990, Two-dimensional signal and image processing; scipy"

    window: int = 3

    def __post_init__(self) -> None:
        require(self.window >= 2, "window", self.window, "at least 2 pixels")

    def __call__(self, x: ByteImages, /) -> FloatImages:
        from scipy.ndimage import uniform_filter

        floats = check_bytes(x) / 255
        size = (0, 0, self.window, self.window)
        mean = uniform_filter(floats, size)
        variance = np.maximum(uniform_filter(floats**2, size) - mean**2, 0)
        noise = variance.mean((2, 3), keepdims=True)
        kept = np.maximum(variance - noise, 0) / np.maximum(variance, TINY)
        return check_images(mean + kept * (floats - mean))

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """The same, in torch."""
        mean = local_mean(x, self.window)
        variance = local_mean((x - mean.mean((2, 3), True)) ** 2, self.window)
        variance = (variance - (mean - mean.mean((2, 3), True)) ** 2).clamp(min=0)
        noise = variance.mean((2, 3), True)
        kept = (variance - noise).clamp(min=0) / variance.clamp(min=TINY)
        return mean + kept * (x - mean)


TINY = 1e-12
"""A variance of no image but a flat one."""
