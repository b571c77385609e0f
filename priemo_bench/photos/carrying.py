"""A change that was found at one size, brought to a crop of another, and held to a budget there."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from priemo_bench.contracts.image import ByteImages, FloatImages
from priemo_bench.quality.budget import Budget, match_budget_tensor
from priemo_bench.quality.pixel import linf
from priemo_bench.quality.structural import ssim_means

WORK = 384
"""Longer side of a crop at which a perturbation is computed at most: larger crops are reduced.

Recognisers see 48 to 260 pixels; what is finer they do not see."""

APART = 2**22
"""Values of a crop from which its channels are measured one by one: memory."""


def reduced(crop: ByteImages, most: int = WORK) -> ByteImages:
    """A crop (1, c, h, w), smaller where its longer side has more than `most` pixels."""
    height, width = crop.shape[2:]
    if max(height, width) <= most:
        return crop
    scale = most / max(height, width)
    return resized(crop, (max(1, round(height * scale)), max(1, round(width * scale))))


def resized(crop: ByteImages, size: tuple[int, int]) -> ByteImages:
    """A crop (1, c, h, w) at another (height, width), bilinear and antialiased."""
    if crop.shape[2:] == size:
        return crop
    planes = crop[0].transpose(1, 2, 0)
    picture = Image.fromarray(planes[..., 0] if len(crop[0]) == 1 else np.ascontiguousarray(planes))
    small = np.array(picture.resize(size[::-1], Image.Resampling.BILINEAR))
    return np.ascontiguousarray(small.reshape(*size, -1).transpose(2, 0, 1)[None])


def carried(crop: ByteImages, levels: FloatImages, budget: Budget) -> ByteImages:
    """The crop (1, c, h, w) with a change found at another size, never enlarged.

    Recognisers average the pixels of a large crop, so that the change works there as it does at
    the size it was found at. It is scaled down until the budget holds at the crop's own size.

    Args:
        levels: (1, 1 or c, h', w') change in grey levels; one channel changes all alike.
    """
    change = torch.from_numpy(levels)
    if change.shape[2:] != crop.shape[2:]:
        change = F.interpolate(change, crop.shape[2:], mode="bilinear", align_corners=False)
    change = change.expand(-1, crop.shape[1], -1, -1)
    images = torch.from_numpy(crop)
    if crop.size > APART:  # a floor that each channel keeps is kept by their mean
        images, change = (z.reshape(-1, 1, *crop.shape[2:]) for z in (images, change))
    found = match_budget_tensor(images, change, budget, grow=False, dither=True)
    published: ByteImages = found.reshape(crop.shape).numpy()
    return published


def quality(before: ByteImages, after: ByteImages) -> tuple[float, float]:
    """The smaller of both SSIM means, in single precision, and linf, of a crop (1, c, h, w)."""
    pairs = (z.reshape(-1, 1, *z.shape[2:]) if z.size > APART else z for z in (before, after))
    means = ssim_means(*pairs, dtype=torch.float32)
    return float(min(mean.mean() for mean in means)), float(linf(before, after)[0])


def difference(before: ByteImages, after: ByteImages) -> FloatImages:
    """The change in grey levels."""
    return after.astype(np.float32) - before
