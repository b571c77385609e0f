"""Landing on a budget: images published at the largest strength of their perturbation in it."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from priemo_bench.images import Bytes, Floats, check_images, to_float
from priemo_bench.quality import SINGLE_PRECISION, Budget, Reference, double

LANDED = 0.005
"""An image is on its floor when its SSIM drop is at most this share smaller than the floor's."""
NARROW = 1e-3
"""Strengths that differ by this share are not told apart: rounding makes SSIM jump."""
EDGE = 0.05
"""How close the search for a strength goes to an end of what is still open, as a share of it."""
BLOCK = 2**19
"""Values of images whose SSIM is computed at once: what a processor's cache holds."""


def match_budget(
    x: Bytes, protected: Floats, budget: Budget, stretch: float = 1.0, dither: bool = False
) -> Bytes:
    """Publish each image at the largest strength of its perturbation that keeps the budget.

    The perturbation is cut at the cap and scaled by a factor between 0 and `stretch`, searched for
    on the rounded image until the SSIM drop is within LANDED of the floor's. The search is in
    single precision; what it finds is checked in double, and where it fails searched for again.
    SSIM is computed at most 15 times, and every image keeps the budget (at factor 0 it always
    does).

    Args:
        x: (n, c, h, w) uint8 originals.
        protected: (n, c, h, w) floats in [0, 1].
        stretch: how far a perturbation may be enlarged; 1 only shrinks.
        dither: round a scaled perturbation up or down by chance (a fixed pattern) instead of to
            the nearest level, where one of less than half a level would vanish altogether.
    """
    change = torch.from_numpy(check_images(protected, "protected") - to_float(x)) * 255
    originals = torch.from_numpy(x)
    if budget.ssim_floor is None:
        whole = torch.ones(len(x))
        return _publish(originals, change, whole, budget.levels, torch.zeros(())).numpy()
    pattern = _by_chance(x.shape[1:]) if dither else torch.zeros(())
    published = torch.empty_like(originals)
    for rows in np.array_split(np.arange(len(x)), min(len(x), math.ceil(x.size / BLOCK))):
        single = originals[rows].to(torch.float32) / 255
        published[rows] = _land(single, change[rows], budget, stretch, 9, pattern)
        over = rows[~budget.holds(x[rows], published[rows].numpy())]
        if len(over):
            exact = double(x[over])
            published[over] = _land(exact, change[over], budget, stretch, 5, pattern)
    return published.numpy()


def _land(
    x: Tensor, change: Tensor, budget: Budget, stretch: float, evaluations: int, pattern: Tensor
) -> Tensor:
    """`match_budget` for a few images `x` in [0, 1], in their precision; uint8.

    To first order 1 - SSIM grows with the square of the strength, so its root is followed: by false
    position between the strongest factor known to keep the budget and the weakest known not to,
    where an end that stays twice counts half (Illinois), kept off both by EDGE of their distance.

    Args:
        change: (n, c, h, w) perturbations in grey levels.
        evaluations: how many times SSIM is computed at most.
        pattern: as for `_publish`.
    """
    assert budget.ssim_floor is not None
    allowed = 1 - budget.ssim_floor
    if x.dtype == torch.float32:
        allowed *= 1 - SINGLE_PRECISION
    aim, nearly = math.sqrt((1 - LANDED / 2) * allowed), math.sqrt((1 - LANDED) * allowed)
    reference, levels = Reference(x), (x * 255).round().to(torch.uint8)
    best, rows = levels.clone(), torch.arange(len(x))
    scale = torch.full((len(x),), min(1.0, stretch))
    low, below = torch.zeros_like(scale), torch.zeros_like(scale)
    high, above = torch.full_like(scale, torch.inf), torch.full_like(scale, torch.inf)
    before = torch.full_like(scale, -1)
    for _ in range(evaluations):
        tried = _publish(levels, change, scale, budget.levels, pattern)
        drop = 1 - reference.worst(tried.to(x.dtype) / 255)
        kept, root = drop <= allowed, drop.clamp_min(0).sqrt()
        best[rows[kept]] = tried[kept]
        stays = kept == before
        low, high = torch.where(kept, scale, low), torch.where(kept, high, scale)
        below = torch.where(kept, root, torch.where(stays, (below + aim) / 2, below))
        above = torch.where(kept, torch.where(stays, (above + aim) / 2, above), root)
        going = ~(kept & (root >= nearly)) & (low < (1 - NARROW) * high.clamp_max(stretch))
        if not going.any():
            break
        rows, low, below, high, above, before, levels, change = (
            state[going] for state in (rows, low, below, high, above, kept, levels, change)
        )
        reference = reference.take(going)
        between = low + (aim - below) / (above - below) * (high - low)
        edge = EDGE * (high - low)
        between = torch.maximum(torch.minimum(between, high - edge), low + edge)
        scale = torch.where(high.isfinite(), between, (low * aim / below).clamp_max(stretch))
    return best


def scaled(x: Bytes, protected: Floats, factor: float) -> Bytes:
    """Originals (n, c, h, w) plus `factor` times their perturbations, dithered (`match_budget`)."""
    change = torch.from_numpy(check_images(protected, "protected") - to_float(x)) * 255
    factors = torch.full((len(x),), float(factor))
    return _publish(torch.from_numpy(x), change, factors, 255, _by_chance(x.shape[1:])).numpy()


def _by_chance(shape: tuple[int, ...]) -> Tensor:
    """Thresholds of rounding for one image, in [-.5, .5): the same at every call."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) - 0.5


def _publish(x: Tensor, change: Tensor, scale: Tensor, levels: int, pattern: Tensor) -> Tensor:
    """8-bit images `x` plus scaled `change` (grey levels), cut at `levels`, rounded.

    `pattern` in [-.5, .5) moves the thresholds of rounding where the scale is not 1.
    """
    scale = scale.view(-1, 1, 1, 1)
    scaled = (change * scale).clamp(-levels, levels) + pattern * (scale != 1)
    return (x.to(torch.float32) + scaled).round().clamp(0, 255).to(torch.uint8)
