"""Augmentation of a batch of faces as tensor operations, cheap enough for two cores."""

from __future__ import annotations

import math

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F
from torchvision.io import decode_jpeg, encode_jpeg

from priemo_bench.contracts.config import StrictModel
from priemo_bench.contracts.image import ByteImages

Share = Field(ge=0, le=1)


class Augmentation(StrictModel):
    """Shares of images that get something, and how much of it.

    Attributes:
        equalised: share that is histogram-equalised (many published copies of FER2013 are).
        rotation: degrees either way; scale, shift: shares of the side, either way.
        contrast, brightness, gamma: factor 1 +- contrast, offset +- brightness, exponent
            e^(+- gamma).
        colour: each channel's factor 1 +- colour.
        blurred, noisy, compressed, erased: shares of images; compressed by JPEG of quality 30 to
            95.
    """

    equalised: float = Share
    rotation: float = 10.0
    scale: float = 0.1
    shift: float = 0.06
    contrast: float = 0.3
    brightness: float = 0.1
    gamma: float = 0.3
    colour: float = 0.1
    blurred: float = Share
    noisy: float = Share
    compressed: float = Field(default=0, ge=0, le=1)
    erased: float = Share


def equalised(images: ByteImages) -> ByteImages:
    """Histogram-equalised copies, each channel by itself: v -> round(255 * share below v).

    `images` is (n, c, h, w); same formula as PIL.ImageOps.equalize up to rounding.
    """
    out = np.empty_like(images)
    for image, target in zip(
        images.reshape(-1, *images.shape[2:]), out.reshape(-1, *out.shape[2:]), strict=True
    ):
        counts = np.bincount(image.ravel(), minlength=256).cumsum()
        low = counts[image.min()]
        table = (counts - low) * (255 / max(1, image.size - low))
        target[:] = np.rint(table.clip(0, 255)).astype(np.uint8)[image]
    return out


def _signed(n: int, amount: float, *shape: int) -> Tensor:
    return (torch.rand(n, *shape) * 2 - 1) * amount


def placed(
    x: Tensor,
    turn: float,
    scale: float,
    shift: float,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Faces (n, c, h, w), half of them mirrored, all turned, scaled and shifted: differentiable.

    Args:
        turn: radians; scale: share of the size; shift: share of the side: each either way.
        generator: what is drawn from, on the CPU; None is torch's global one.
    """
    mirror, angle, size, right, down = torch.rand(5, len(x), generator=generator)
    flip = torch.where(mirror < 0.5, -1.0, 1.0)
    angle, size = (2 * angle - 1) * turn, 1 + (2 * size - 1) * scale
    right, down = 2 * shift * (2 * right - 1), 2 * shift * (2 * down - 1)
    cos, sin = size * angle.cos(), size * angle.sin()
    theta = torch.stack([cos * flip, -sin, right, sin * flip, cos, down], 1).view(-1, 2, 3)
    grid = F.affine_grid(theta.to(x), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _toned(x: Tensor, spec: Augmentation) -> Tensor:
    n, c = x.shape[:2]
    x = x.clamp_min(1e-4) ** torch.exp(_signed(n, spec.gamma, 1, 1, 1))
    factor = 1 + _signed(n, spec.contrast, 1, 1, 1)
    x = (x - 0.5) * factor + 0.5 + _signed(n, spec.brightness, 1, 1, 1)
    if c > 1:
        x = x * (1 + _signed(n, spec.colour, c, 1, 1))
    return x


def _degraded(x: Tensor, spec: Augmentation) -> Tensor:
    """Some images blurred, some noisy, some compressed."""
    rows = torch.rand(len(x)) < spec.blurred
    if rows.any():
        soft = F.avg_pool2d(x[rows], 3, stride=1, padding=1, count_include_pad=False)
        x[rows] = torch.lerp(x[rows], soft, torch.rand(len(soft), 1, 1, 1))
    rows = torch.rand(len(x)) < spec.noisy
    if rows.any():
        some = x[rows]
        x[rows] = some + torch.randn_like(some) * torch.rand(len(some), 1, 1, 1) * 0.05
    for row in (torch.rand(len(x)) < spec.compressed).nonzero()[:, 0] if spec.compressed else ():
        x[row] = _compressed(x[row], int(torch.randint(30, 96, ())))
    return x


def _compressed(image: Tensor, quality: int) -> Tensor:
    """One image (1 or 3, h, w) in [0, 1], through JPEG."""
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    return decode_jpeg(encode_jpeg(pixels, quality)).float() / 255


def _erased(x: Tensor, share: float) -> Tensor:
    """Some images get a rectangle (15 to 45 % of each side) of one random grey."""
    n, _, h, w = x.shape
    size = torch.rand(n, 2) * 0.3 + 0.15
    start = torch.rand(n, 2) * (1 - size)
    rows, columns = torch.arange(h) / h, torch.arange(w) / w
    high = (rows >= start[:, :1]) & (rows < (start + size)[:, :1])
    wide = (columns >= start[:, 1:]) & (columns < (start + size)[:, 1:])
    mask = high[:, None, :, None] & wide[:, None, None, :]
    mask &= (torch.rand(n) < share)[:, None, None, None]
    return torch.where(mask, torch.rand(n, 1, 1, 1), x)


def augment(x: Tensor, spec: Augmentation) -> Tensor:
    """A batch (n, c, h, w) in [0, 1], augmented: same shape and range.

    Draws from torch's global CPU generator, so that a seed fixes it.
    """
    x = placed(x, math.radians(spec.rotation), spec.scale, spec.shift)
    x = _degraded(_toned(x, spec), spec)
    return _erased(x, spec.erased).clamp(0, 1)
