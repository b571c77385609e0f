"""The budget that every published image keeps, and landing on it: used to the full, never passed.

A budget is a measure of quality, a floor of it and a cap on the change of each pixel. What an image
has spent is a share: its SSIM drop of the one that the floor allows, or its mean squared error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol, Self, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from priemo_bench.contracts.image import (
    FLOOR_SLACK,
    ByteImages,
    FloatImages,
    check_images,
    to_float,
)
from priemo_bench.errors import PriemoError
from priemo_bench.quality.pixel import check_pair, to_double
from priemo_bench.quality.ssim import SSIMReference
from priemo_bench.registry import unknown

Measure = Literal["ssim", "psnr"]

SINGLE_PRECISION = 1e-3
"""Share of what a floor allows that is kept back while it is computed in float32."""
LANDED = 0.005
"""An image is on its floor when it leaves at most this share of what the floor allows."""
NARROW = 1e-3
"""Strengths that differ by this share are not told apart: rounding makes SSIM jump."""
EDGE = 0.05
"""How close the search for a strength goes to an end of what is still open, as a share of it."""
LARGEST = 1e4
"""How far a perturbation is enlarged: a ten-thousandth of a grey level to a whole one."""
BLOCK = 2**19
"""Values of images whose quality is computed at once: what a processor's cache holds."""


class Spent(Protocol):
    """What published images have spent of a floor, against originals looked at once."""

    def __call__(self, y: Tensor) -> Tensor:
        """(n, c, h, w) in [0, 1] to (n,) shares of what the floor allows; 1 is on the floor."""
        ...

    def take(self, rows: Tensor) -> Self:
        """The same for some of the images."""
        ...


class SpentSSIM:
    """Share of the allowed SSIM drop, by the worse of the two means."""

    def __init__(self, reference: SSIMReference, floor: float) -> None:
        self.reference, self.allowed = reference, 1 - floor

    def __call__(self, y: Tensor) -> Tensor:
        return (1 - self.reference.worst(y)) / self.allowed

    def take(self, rows: Tensor) -> SpentSSIM:
        return SpentSSIM(self.reference.take(rows), 1 - self.allowed)


class SpentPSNR:
    """Share of the allowed mean squared error."""

    def __init__(self, x: Tensor, floor: float) -> None:
        self.x, self.floor = x, floor

    def __call__(self, y: Tensor) -> Tensor:
        return (y - self.x).square().mean((1, 2, 3)) / mean_square(self.floor)

    def take(self, rows: Tensor) -> SpentPSNR:
        return SpentPSNR(self.x[rows], self.floor)


def mean_square(psnr: float) -> float:
    """Mean squared error, on [0, 1], of a PSNR in dB."""
    return float(10 ** (-psnr / 10))


@dataclass(frozen=True)
class Budget:
    """What every published image must keep: a floor of its quality and a cap on each pixel.

    Attributes:
        floor: of SSIM in (0, 1) (it holds for both means), of PSNR in dB, or None for no floor.
        eps: largest change of a pixel, in (0, 1], or None for no cap.
        measure: what the floor is of, "ssim" or "psnr".
    """

    floor: float | None = 0.997
    eps: float | None = 8 / 255
    measure: Measure = "ssim"

    def __post_init__(self) -> None:
        if self.measure not in get_args(Measure):
            raise unknown("measures", str(self.measure), get_args(Measure))
        if self.floor is not None and self.measure == "ssim" and not 0 < self.floor < 1:
            raise PriemoError(
                f"ssim_floor is {self.floor}; it must lie between 0 and 1, both excluded "
                "(at 1 nothing may change)"
            )
        if self.floor is not None and self.measure == "psnr" and not 0 < self.floor < 100:
            raise PriemoError(f"psnr_floor is {self.floor}; it must lie between 0 and 100 dB")
        if self.eps is not None and not 0 < self.eps <= 1:
            raise PriemoError(f"eps is {self.eps}; it must be in (0, 1] (8 grey levels are 8/255)")

    @classmethod
    def of(
        cls, ssim_floor: float | None, eps: float | None, psnr_floor: float | None = None
    ) -> Budget:
        """From parameters as attacks have them; PriemoError where both floors are given."""
        if psnr_floor is None:
            return cls(ssim_floor, eps)
        if ssim_floor is not None:
            raise PriemoError(
                f"ssim_floor is {ssim_floor} and psnr_floor {psnr_floor}; give one floor, and None "
                "for the other"
            )
        return cls(psnr_floor, eps, "psnr")

    @property
    def levels(self) -> int:
        """The cap in whole grey levels."""
        return 255 if self.eps is None else int(np.floor(self.eps * 255 + 1e-6))

    def spent(self, x: Tensor) -> Spent:
        """What will be spent of the floor against originals (n, c, h, w) in [0, 1]."""
        assert self.floor is not None
        if self.measure == "ssim":
            return SpentSSIM(SSIMReference(x), self.floor)
        return SpentPSNR(x, self.floor)

    @property
    def most(self) -> float:
        """The share spent that still counts as on the floor, for float noise."""
        if self.floor is None:
            return 1.0
        if self.measure == "ssim":
            return 1 + FLOOR_SLACK / (1 - self.floor)
        return mean_square(-FLOOR_SLACK)

    def holds(self, x: ByteImages, y: ByteImages) -> npt.NDArray[np.bool_]:
        """(n,) whether each published image `y` keeps the budget against its original `x`."""
        x, y = check_pair(x, y)
        kept = np.abs(x.astype(np.int16) - y).max((1, 2, 3)) <= self.levels
        if self.floor is not None:
            kept &= self.spent(to_double(x))(to_double(y)).numpy() <= self.most
        return kept


def match_budget(
    x: ByteImages, protected: FloatImages, budget: Budget, grow: bool = True, dither: bool = False
) -> ByteImages:
    """Publish each image at the strength of its perturbation that lands on the budget.

    The perturbation is scaled, down or up, and cut at the cap; the factor is searched for on the
    rounded image until what is spent is within LANDED of what the floor allows, or nothing more
    fits under the cap. The search is in single precision; what it finds is checked in double, and
    where it fails searched for again. The measure is computed at most 15 times, and every image
    keeps the budget (at factor 0 it always does).

    Args:
        x: (n, c, h, w) uint8 originals.
        protected: (n, c, h, w) floats in [0, 1].
        grow: whether a perturbation may be enlarged; False only shrinks.
        dither: round a scaled perturbation up or down by chance (a fixed pattern) instead of to
            the nearest level, where one of less than half a level would vanish altogether.
    """
    change = torch.from_numpy(check_images(protected, "protected") - to_float(x)) * 255
    originals = torch.from_numpy(x)
    if budget.floor is None:
        whole = torch.ones(len(x))
        return _publish(originals, change, whole, budget.levels, torch.zeros(())).numpy()
    pattern = _by_chance(x.shape[1:]) if dither else torch.zeros(())
    largest = LARGEST if grow else 1.0
    published = torch.empty_like(originals)
    for rows in np.array_split(np.arange(len(x)), min(len(x), math.ceil(x.size / BLOCK))):
        single = originals[rows].to(torch.float32) / 255
        published[rows] = _land(single, change[rows], budget, largest, 9, pattern)
        over = rows[~budget.holds(x[rows], published[rows].numpy())]
        if len(over):
            exact = to_double(x[over])
            published[over] = _land(exact, change[over], budget, largest, 5, pattern)
    return published.numpy()


def _land(
    x: Tensor, change: Tensor, budget: Budget, largest: float, evaluations: int, pattern: Tensor
) -> Tensor:
    """`match_budget` for a few images `x` in [0, 1], in their precision; uint8.

    To first order what is spent grows with the square of the strength, so its root is followed: by
    false position between the strongest factor known to keep the budget and the weakest known not
    to, where an end that stays twice counts half (Illinois), kept off both by EDGE of their
    distance.

    Args:
        change: (n, c, h, w) perturbations in grey levels.
        largest: factor; evaluations: how many times the measure is computed at most.
        pattern: as for `_publish`.
    """
    allowed = budget.most if x.dtype == torch.float64 else 1 - SINGLE_PRECISION
    aim, nearly = math.sqrt((1 - LANDED / 2) * allowed), math.sqrt((1 - LANDED) * allowed)
    spent, levels = budget.spent(x), (x * 255).round().to(torch.uint8)
    best, rows = levels.clone(), torch.arange(len(x))
    scale = torch.ones(len(x))
    low, below = torch.zeros_like(scale), torch.zeros_like(scale)
    high, above = torch.full_like(scale, torch.inf), torch.full_like(scale, torch.inf)
    before = torch.full_like(scale, -1)
    for _ in range(evaluations):
        tried = _publish(levels, change, scale, budget.levels, pattern)
        share = spent(tried.to(x.dtype) / 255).to(scale.dtype)
        kept, root = share <= allowed, share.clamp_min(0).sqrt()
        best[rows[kept]] = tried[kept]
        stays = kept == before
        low, high = torch.where(kept, scale, low), torch.where(kept, high, scale)
        below = torch.where(kept, root, torch.where(stays, (below + aim) / 2, below))
        above = torch.where(kept, torch.where(stays, (above + aim) / 2, above), root)
        going = ~(kept & (root >= nearly)) & (low < (1 - NARROW) * high.clamp_max(largest))
        going &= ~(kept & _at_cap(tried, levels, change, budget.levels))
        if not going.any():
            break
        rows, low, below, high, above, before, levels, change = (
            state[going] for state in (rows, low, below, high, above, kept, levels, change)
        )
        spent = spent.take(going)
        between = low + (aim - below) / (above - below) * (high - low)
        edge = EDGE * (high - low)
        between = torch.maximum(torch.minimum(between, high - edge), low + edge)
        # what has not shown on the 8-bit grid yet says nothing of how far it may go
        further = torch.where(below > 0, low * aim / below.clamp_min(1e-12), 4 * low)
        scale = torch.where(high.isfinite(), between, further.clamp_max(largest))
    return best


def _at_cap(tried: Tensor, x: Tensor, change: Tensor, levels: int) -> Tensor:
    """(n,) whether every pixel that changes has moved by the cap, or as far as there are levels."""
    moved = tried.to(torch.int16) - x
    stuck = (moved.abs() >= levels) | (tried == 0) | (tried == 255) | (change == 0)
    return stuck.flatten(1).all(1)


def publish_scaled(
    x: ByteImages, protected: FloatImages, factor: float, budget: Budget
) -> ByteImages:
    """Originals (n, c, h, w) plus `factor` times their perturbations, capped and dithered."""
    change = torch.from_numpy(check_images(protected, "protected") - to_float(x)) * 255
    factors = torch.full((len(x),), float(factor))
    pattern = _by_chance(x.shape[1:])
    return _publish(torch.from_numpy(x), change, factors, budget.levels, pattern).numpy()


def _by_chance(shape: tuple[int, ...]) -> Tensor:
    """Thresholds of rounding for one image, in [-.5, .5): the same at every call."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) - 0.5


def _publish(x: Tensor, change: Tensor, scale: Tensor, levels: int, pattern: Tensor) -> Tensor:
    """8-bit images `x` plus publish_scaled `change` (grey levels), cut at `levels`, rounded.

    `pattern` in [-.5, .5) moves the thresholds of rounding where the scale is not 1.
    """
    scale = scale.view(-1, 1, 1, 1)
    publish_scaled = (change * scale).clamp(-levels, levels) + pattern * (scale != 1)
    return (x.to(torch.float32) + publish_scaled).round().clamp(0, 255).to(torch.uint8)
