"""Augmentation of batches of faces as tensor operations, on the CPU."""

from __future__ import annotations

import math
from io import BytesIO
from typing import Annotated

import numpy as np
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from priemo_bench.contracts.config import StrictModel
from priemo_bench.contracts.image import ByteImages

Probability = Annotated[float, Field(ge=0, le=1)]


class Augmentation(StrictModel):
    """Probabilities and largest strengths of the augmentations of an image.

    Attributes:
        equalised: probability of histogram equalisation (which many copies of FER2013 have had).
        rotation: in degrees. scale: relative change of size. shift: as a share of the side.
        contrast, brightness, gamma: largest changes of the contrast (a factor 1 +- contrast), the
            brightness (an offset) and the exponent (e^(+- gamma)).
        colour: of a factor per channel, 1 +- colour.
        blurred, noisy, erased: probabilities of a blur, Gaussian noise, and an erased rectangle.
        compressed: probability of JPEG compression, of quality 30 to 95.
    """

    equalised: Probability
    rotation: float = 10.0
    scale: float = 0.1
    shift: float = 0.06
    contrast: float = 0.3
    brightness: float = 0.1
    gamma: float = 0.3
    colour: float = 0.1
    blurred: Probability
    noisy: Probability
    compressed: Probability = 0
    erased: Probability


def equalised(images: ByteImages) -> ByteImages:
    """Histogram-equalised copies of images (n, c, h, w), channel by channel.

    v -> round(255 * share of pixels below v), as PIL.ImageOps.equalize up to rounding.
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


def _uniform(n: int, bound: float, *shape: int) -> Tensor:
    """(n, *shape) uniform in [-bound, bound]."""
    return (torch.rand(n, *shape) * 2 - 1) * bound


def random_affine(
    x: Tensor,
    rotation: float,
    scale: float,
    shift: float,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Images (n, c, h, w), randomly rotated, scaled and shifted, half of them mirrored.

    Differentiable; each image gets its own transformation, pixels outside repeat the edge.

    Args:
        rotation: largest angle, in radians.
        scale: largest relative change of size.
        shift: largest shift, as a share of the side.
        generator: of the random numbers, on the CPU; None for torch's global one.
    """
    mirror, angle, size, right, down = torch.rand(5, len(x), generator=generator)
    flip = torch.where(mirror < 0.5, -1.0, 1.0)
    angle, size = (2 * angle - 1) * rotation, 1 + (2 * size - 1) * scale
    right, down = 2 * shift * (2 * right - 1), 2 * shift * (2 * down - 1)
    cos, sin = size * angle.cos(), size * angle.sin()
    theta = torch.stack([cos * flip, -sin, right, sin * flip, cos, down], 1).view(-1, 2, 3)
    grid = F.affine_grid(theta.to(x), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _photometric(x: Tensor, spec: Augmentation) -> Tensor:
    """Gamma, contrast, brightness and colour, of each image its own."""
    n, c = x.shape[:2]
    x = x.clamp_min(1e-4) ** torch.exp(_uniform(n, spec.gamma, 1, 1, 1))
    factor = 1 + _uniform(n, spec.contrast, 1, 1, 1)
    x = (x - 0.5) * factor + 0.5 + _uniform(n, spec.brightness, 1, 1, 1)
    if c > 1:
        x = x * (1 + _uniform(n, spec.colour, c, 1, 1))
    return x


def _degrade(x: Tensor, spec: Augmentation) -> Tensor:
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
        x[row] = jpeg(x[row], int(torch.randint(30, 96, ())))
    return x


def jpeg(image: Tensor, quality: int) -> Tensor:
    """An image (1 or 3, h, w) in [0, 1] after JPEG compression; Pillow's quality, 1 to 95."""
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    file = BytesIO()
    Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(
        file, "JPEG", quality=quality
    )
    with Image.open(file) as decoded:
        found = np.asarray(decoded, np.float32).reshape(pixels.shape) / 255
    return torch.from_numpy(found).permute(2, 0, 1)


def _erase(x: Tensor, probability: float) -> Tensor:
    """In some images, a rectangle (15 to 45 % of each side) filled with a random grey."""
    n, _, h, w = x.shape
    size = torch.rand(n, 2) * 0.3 + 0.15
    start = torch.rand(n, 2) * (1 - size)
    rows, columns = torch.arange(h) / h, torch.arange(w) / w
    high = (rows >= start[:, :1]) & (rows < (start + size)[:, :1])
    wide = (columns >= start[:, 1:]) & (columns < (start + size)[:, 1:])
    mask = high[:, None, :, None] & wide[:, None, None, :]
    mask &= (torch.rand(n) < probability)[:, None, None, None]
    return torch.where(mask, torch.rand(n, 1, 1, 1), x)


def augment(x: Tensor, spec: Augmentation) -> Tensor:
    """Augmented images (n, c, h, w) in [0, 1], all but equalisation; same shape and range.

    Random numbers come from torch's global CPU generator.

    Args:
        x: (n, c, h, w) in [0, 1], on the CPU.
    """
    x = random_affine(x, math.radians(spec.rotation), spec.scale, spec.shift)
    x = _degrade(_photometric(x, spec), spec)
    return _erase(x, spec.erased).clamp(0, 1)
