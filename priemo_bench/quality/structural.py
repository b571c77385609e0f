"""SSIM of published images with their originals.

That is Wang et al. 2004: 11x11 Gaussian window of sigma 1.5, data range 1, population covariance,
mean over channels, at the resolution of the published image. scikit-image averages its map
without the outermost 5 pixels; here both means are computed, and a floor holds for both.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from priemo_bench.contracts.image import ByteImages
from priemo_bench.contracts.metric import MetricValues
from priemo_bench.errors import PriemoError
from priemo_bench.quality.pixel import check_pair

C1, C2 = 0.01**2, 0.03**2
SIGMA, RADIUS = 1.5, 5
TILE = 24
"""Outputs of a blur along one axis that one matrix product of the CPU computes."""
BLOCK = 2**19
"""Values that are blurred at once: what a core's cache holds."""


@lru_cache(maxsize=64)
def _window(side: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(side, side) matrix that blurs a signal of `side` samples, mirrored at its ends."""
    if side < 2 * RADIUS + 1:
        raise PriemoError(f"an image side is {side} pixels; SSIM needs at least {2 * RADIUS + 1}")
    matrix = gaussian_filter1d(np.eye(side), SIGMA, axis=0, radius=RADIUS)
    return torch.from_numpy(matrix).to(device, dtype)


def blur(x: Tensor) -> Tensor:
    """(..., h, w) averaged over the Gaussian window around each pixel."""
    return _filter(x, *(_window(side, x.dtype, x.device) for side in x.shape[-2:]))


def unblur(x: Tensor) -> Tensor:
    """The transpose of `blur`: (..., h, w) windows spread back over the pixels they cover."""
    return _filter(x, *(_window(side, x.dtype, x.device).T for side in x.shape[-2:]))


def _filter(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """rows @ x @ columns.T of banded matrices; on the CPU in blocks, without the zeros."""
    if x.device.type != "cpu" or (x.requires_grad and torch.is_grad_enabled()):
        return rows @ x @ columns.T
    planes = x.reshape(-1, *x.shape[-2:])
    size = max(1, BLOCK // (len(rows) * len(columns)))
    filtered, half = torch.empty_like(planes), torch.empty_like(planes[:size])
    for part, out in zip(planes.split(size), filtered.split(size), strict=True):
        between = half[: len(part)]
        for to, seen in _tiles(len(rows)):
            band = rows[to, seen].expand(len(part), -1, -1)
            torch.bmm(band, part[:, seen], out=between[:, to])
        lines, found = between.flatten(0, 1), out.flatten(0, 1)
        for to, seen in _tiles(len(columns)):
            torch.mm(lines[:, seen], columns[to, seen].T, out=found[:, to])
    return filtered.view(x.shape)


def _tiles(side: int) -> list[tuple[slice, slice]]:
    """Outputs along an axis, TILE at a time, and the samples that they need."""
    starts = range(0, side, TILE)
    return [(slice(s, s + TILE), slice(max(0, s - RADIUS), s + TILE + RADIUS)) for s in starts]


class SSIMReference:
    """The original images (n, c, h, w) in [0, 1], their window statistics computed once."""

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self.mean = blur(x)
        self.variance = (blur(x * x) - self.mean**2).clamp_min(0)

    def map(self, y: Tensor) -> Tensor:
        """SSIM map (n, c, h, w) of `y` against the originals."""
        mean = blur(y)
        covariance = blur(self.x * y) - self.mean * mean
        variance = blur(y * y) - mean**2
        luminance = (2 * self.mean * mean + C1) / (self.mean**2 + mean**2 + C1)
        return luminance * (2 * covariance + C2) / (self.variance + variance + C2)

    def ssim(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """(n,) mean without the outermost 5 pixels, as scikit-image has it, and (n,) full mean."""
        full = self.map(y)
        inner = full[..., RADIUS:-RADIUS, RADIUS:-RADIUS]
        return inner.mean((1, 2, 3)), full.mean((1, 2, 3))

    def worst(self, y: Tensor) -> Tensor:
        """(n,) the smaller of both means: what a floor is held against."""
        return torch.minimum(*self.ssim(y))

    def take(self, rows: Tensor) -> SSIMReference:
        """The reference of some of the images."""
        part = object.__new__(SSIMReference)
        part.x, part.mean, part.variance = self.x[rows], self.mean[rows], self.variance[rows]
        return part


def ssim(x: ByteImages, y: ByteImages, border: bool = True) -> MetricValues:
    """SSIM of each published image with its original, in float64.

    Args:
        x, y: (n, 1 or 3, h, w) uint8, sides of at least 11 pixels.
        border: mean of the full map; False leaves out 5 pixels on each side, as
            `skimage.metrics.structural_similarity` does.

    Returns:
        (n,) float64, at most 1.

    Example:
        >>> import numpy as np
        >>> from priemo_bench.quality import psnr, ssim
        >>> x = np.random.default_rng(0).integers(0, 255, (1, 1, 32, 32), np.uint8)
        >>> ssim(x, x), psnr(x, x + 1).round(1)
        (array([1.]), array([48.1]))
    """
    x, y = check_pair(x, y)
    originals, published = (torch.from_numpy(images).double() / 255 for images in (x, y))
    inner, full = SSIMReference(originals).ssim(published)
    return (full if border else inner).numpy()


def ssim_cropped(x: ByteImages, y: ByteImages) -> MetricValues:
    """(n,) SSIM without the border, the metric `ssim` of the benchmark."""
    return ssim(x, y, border=False)
