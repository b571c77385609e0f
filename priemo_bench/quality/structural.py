"""SSIM of published images with their originals.

That is Wang et al. 2004: 11x11 Gaussian window of sigma 1.5, data range 1, population covariance,
mean over channels, at the resolution of the published image. scikit-image averages its map
without the outermost 5 pixels; here both means are computed, and a floor holds for both.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from priemo_bench.contracts.image import ByteImages
from priemo_bench.contracts.metric import MetricValues
from priemo_bench.errors import PriemoError
from priemo_bench.quality.pixel import check_pair

C1, C2 = 0.01**2, 0.03**2
MID_GREY = 128
SIGMA, RADIUS = 1.5, 5
TILE, PAIRS_TILE = 24, 16
"""Outputs of a blur along one axis that one matrix product of the CPU computes."""
BLOCK = 2**19
"""Values that are blurred at once: what a core's cache holds."""
PAIRS, ON_A_GPU = 2**17, 2**26
"""Values of images that a CPU and a GPU compare at once."""
CARRIED = 256
"""Images that are carried to a GPU at once."""


@lru_cache(maxsize=64)
def _window(side: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(side, side) matrix that blurs a signal of `side` samples, mirrored at its ends."""
    if side < 2 * RADIUS + 1:
        raise PriemoError(f"an image side is {side} pixels; SSIM needs at least {2 * RADIUS + 1}")
    matrix = gaussian_filter1d(np.eye(side), SIGMA, axis=0, radius=RADIUS)
    return torch.from_numpy(matrix).to(device, dtype)


def blur(x: Tensor) -> Tensor:
    """(..., h, w) averaged over the Gaussian window around each pixel; differentiable."""
    filtered: Tensor = _Filter.apply(x, False)
    return filtered


def unblur(x: Tensor) -> Tensor:
    """The transpose of `blur`: (..., h, w) windows spread back over the pixels they cover."""
    filtered: Tensor = _Filter.apply(x, True)
    return filtered


class _Filter(torch.autograd.Function):
    """`blur`, and `unblur`, each of which is the other's gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, transposed: bool) -> Tensor:
        ctx.transposed = transposed
        windows = (_window(side, x.dtype, x.device) for side in x.shape[-2:])
        return _filter(x, *(window.T if transposed else window for window in windows))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Filter.apply(gradient, not ctx.transposed), None


def _filter(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """rows @ x @ columns.T of banded matrices; on the CPU in blocks, without the zeros."""
    if x.device.type != "cpu":
        return rows @ x @ columns.T
    planes = x.reshape(-1, *x.shape[-2:]).contiguous()
    size = max(1, BLOCK // (len(rows) * len(columns)))
    filtered, half = torch.empty_like(planes), torch.empty_like(planes[:size])
    for part, out in zip(torch.split(planes, size), torch.split(filtered, size), strict=True):
        between = half[: len(part)]
        for to, seen in _tiles(len(rows)):
            band = rows[to, seen].expand(len(part), -1, -1)
            torch.bmm(band, part[:, seen], out=between[:, to])
        lines, found = between.flatten(0, 1), out.flatten(0, 1)
        for to, seen in _tiles(len(columns)):
            torch.mm(lines[:, seen], columns[to, seen].T, out=found[:, to])
    return filtered.view(x.shape)


def _tiles(side: int, tile: int = TILE) -> list[tuple[slice, slice]]:
    """Outputs along an axis, `tile` at a time, and the samples that they need."""
    starts = range(0, side, tile)
    return [(slice(s, s + tile), slice(max(0, s - RADIUS), s + tile + RADIUS)) for s in starts]


class SSIMReference:
    """The original images (n, c, h, w) in [0, 1], their window statistics computed once.

    Attributes:
        mean: (n, c, h, w) window means.
        contrast, luminance: (n, c, h, w) twice the window variances plus C2, and twice the squared
            window means plus C1: the denominators of SSIM for two equal images.
    """

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self.mean = blur(x)
        squared = 2 * self.mean.square()
        self.luminance = squared + C1
        self.contrast = (2 * blur(x * x) - squared).clamp_min(0) + C2

    @property
    def variance(self) -> Tensor:
        """(n, c, h, w) window variances."""
        return (self.contrast - C2) / 2

    def drop_map(self, y: Tensor, rows: slice = slice(None)) -> Tensor:
        """(n, c, h, w) what the SSIM map of `y` lacks of 1; differentiable.

        It is computed from the change y - x, so that its relative error is small.

        Args:
            rows: those of the originals that `y` is compared with.
        """
        x, mean = self.x[rows], self.mean[rows]
        change = y - x
        changed, squared, added = blur(torch.stack([change, change * change, change * (y + x)]))
        square = changed * changed
        more = torch.addcmul(square, mean, changed, value=2)
        light = square / (self.luminance[rows] + more)
        structure = (squared - square) / (self.contrast[rows] + added - more)
        lack: Tensor = light + structure - light * structure
        return lack

    def ssim(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """(n,) mean without the outermost 5 pixels, as scikit-image has it, and (n,) full mean."""
        inner, full = [], []
        for rows in blocks(len(y), y[:1].numel(), y.device):
            drop = self.drop_map(y[rows], rows)
            inner.append(drop[..., RADIUS:-RADIUS, RADIUS:-RADIUS].mean((1, 2, 3)))
            full.append(drop.mean((1, 2, 3)))
        return 1 - torch.cat(inner), 1 - torch.cat(full)

    def worst(self, y: Tensor) -> Tensor:
        """(n,) the smaller of both means: what a floor is held against."""
        return torch.minimum(*self.ssim(y))


def drops(x: Tensor, y: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """1 - SSIM of images of 0 to 255, each pair once, a cache full at a time.

    Computed from the change y - x and from moments around mid grey, so that single precision has
    a relative error of a few 1e-4 at most, also where pictures are flat.

    Args:
        x, y: (n, c, h, w) of any type and of one device.

    Returns:
        (2, n): of the mean without the outermost 5 pixels, and of the full one.
    """
    parts = blocks(len(x), x[:1].numel(), x.device)
    # one space for all blocks: fresh memory costs more than what is computed in it
    space = torch.empty(2, 4 * x[parts[0]].numel(), dtype=dtype, device=x.device)
    return torch.cat([_drops(x[rows], y[rows], space) for rows in parts], 1)


def blocks(n: int, values: int, device: torch.device) -> list[slice]:
    """Slices of `n` images of so many values, that are measured at once."""
    size = max(1, (PAIRS if device.type == "cpu" else ON_A_GPU) // values)
    return [slice(start, start + size) for start in range(0, n, size)]


def _drops(x: Tensor, y: Tensor, space: Tensor) -> Tensor:
    n, c, h, w = x.shape
    space = space[:, : 4 * x.numel()]
    maps, half = space.view(2, 4, h, n * c * w)
    original, change, square, product = maps.view(4, h, n, c, w)
    original.copy_(x.permute(2, 0, 1, 3)).sub_(MID_GREY)
    change.copy_(y.permute(2, 0, 1, 3)).sub_(MID_GREY)
    torch.mul(original, change, out=product)
    change.sub_(original)
    torch.mul(change, change, out=square)
    _banded(maps, half)
    blurred = maps.view(4, w, h * n * c)
    _banded(half.view(4, h * n * c, w).mT, blurred)
    mean, changed, squared, product = blurred
    other = torch.add(mean, changed, out=half[0].view_as(mean))
    # both variances and C2; x^2 + y^2 = (y - x)^2 + 2 x y
    spread = product.mul_(2).add_(squared).addcmul_(mean, mean, value=-1)
    spread.addcmul_(other, other, value=-1).add_(C2 * 255**2)
    mean.add_(MID_GREY)
    other.add_(MID_GREY)
    light = mean.mul_(mean).addcmul_(other, other).add_(C1 * 255**2)
    square = changed.mul_(changed)
    structure = squared.sub_(square).div_(spread)
    light = square.div_(light)
    lack = structure.addcmul_(structure, light, value=-1).add_(light)
    weights = _pixel_weights(h, w, space.dtype, x.device)
    means: Tensor = (weights @ lack.view(w * h, n * c)).view(2, n, c).mean(2)
    return means


def _banded(x: Tensor, blurred: Tensor) -> None:
    """(m, side, k) blurred along the side: matrix products without the zeros of the window."""
    side = x.shape[1]
    window = _window(side, x.dtype, x.device)
    for to, seen in _tiles(side, PAIRS_TILE if x.device.type == "cpu" else side):
        band = window[to, seen].expand(len(x), -1, -1)
        torch.bmm(band, x[:, seen], out=blurred[:, to])


@lru_cache(maxsize=64)
def _pixel_weights(h: int, w: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(2, w * h) weights of the mean without the border, and of the full one."""
    weights = torch.zeros(2, w, h, dtype=dtype, device=device)
    weights[0, RADIUS:-RADIUS, RADIUS:-RADIUS] = 1 / ((w - 2 * RADIUS) * (h - 2 * RADIUS))
    weights[1] = 1 / (w * h)
    return weights.flatten(1)


def ssim_means(
    x: ByteImages,
    y: ByteImages,
    *,
    dtype: torch.dtype = torch.float64,
    device: str | torch.device = "cpu",
) -> tuple[MetricValues, MetricValues]:
    """Both means of the SSIM of each published image with its original, at the cost of one.

    Args:
        x, y: (n, 1 or 3, h, w) uint8, sides of at least 11 pixels.
        dtype: float64; float32 takes half the time.

    Returns:
        (n,) without 5 pixels on each side, as `skimage.metrics.structural_similarity` has it, and
        (n,) of the full map; float64, at most 1.
    """
    x, y = check_pair(x, y)
    parts = []
    for start in range(0, len(x), CARRIED):
        rows = slice(start, start + CARRIED)
        originals, published = (torch.from_numpy(z[rows]).to(device) for z in (x, y))
        parts.append(drops(originals, published, dtype))
    inner, full = 1 - torch.cat(parts, 1).double().cpu().numpy()
    return inner, full


def ssim(x: ByteImages, y: ByteImages, border: bool = True) -> MetricValues:
    """SSIM of each published image with its original, in float64; for both means, `ssim_means`.

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
    return ssim_means(x, y)[border]


def ssim_cropped(x: ByteImages, y: ByteImages) -> MetricValues:
    """(n,) SSIM without the border, the metric `ssim` of the benchmark."""
    return ssim(x, y, border=False)
