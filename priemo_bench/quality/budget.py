"""The budget of every published image, and the scale at which a perturbation just meets it.

A budget is a quality measure, a floor of it and a linf cap. What an image has spent of it is a
fraction: its SSIM drop over the drop that the floor allows, or its mean squared error likewise.
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
from priemo_bench.quality.pixel import check_pair
from priemo_bench.quality.structural import SSIMReference
from priemo_bench.registry import unknown

Measure = Literal["ssim", "psnr"]

SINGLE_PRECISION = 1e-3
"""Fraction of what a floor allows that is kept back while it is computed in float32."""
TOLERANCE = 0.005
"""The search ends when an image leaves at most this fraction of what its floor allows."""
MIN_BRACKET = 1e-3
"""Relative width of the bracket at which the search ends: rounding makes SSIM jump."""
EDGE = 0.05
"""Distance that a trial keeps from both ends of the bracket, relative to its width."""
LARGEST = 1e4
"""Largest scale: a ten-thousandth of a grey level becomes a whole one."""
BLOCK = 2**19
"""Values whose quality is computed at once: they fit into a processor's cache."""


class Spent(Protocol):
    """What published images spend of a floor; statistics of the originals are computed once."""

    def __call__(self, y: Tensor) -> Tensor:
        """(n, c, h, w) in [0, 1] to (n,) fractions of what the floor allows; 1 is on the floor."""
        ...

    def take(self, rows: Tensor) -> Self:
        """Those of some of the images."""
        ...


class SpentSSIM:
    """Fraction of the allowed SSIM drop, by the worse of the two means."""

    def __init__(self, reference: SSIMReference, floor: float) -> None:
        self.reference, self.allowed = reference, 1 - floor

    def __call__(self, y: Tensor) -> Tensor:
        return (1 - self.reference.worst(y)) / self.allowed

    def take(self, rows: Tensor) -> SpentSSIM:
        return SpentSSIM(self.reference.take(rows), 1 - self.allowed)


class SpentPSNR:
    """Fraction of the allowed mean squared error."""

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
    """A floor of image quality and a linf cap, kept by every published image.

    Attributes:
        floor: of SSIM in (0, 1) (it holds for both means), of PSNR in dB, or None for no floor.
        eps: largest change of a pixel, in (0, 1], or None for no cap.
        measure: of the floor, "ssim" or "psnr".

    Raises:
        PriemoError: a floor or cap outside its range.

    Example:
        >>> import numpy as np
        >>> from priemo_bench import Budget
        >>> x = np.full((1, 1, 32, 32), 128, np.uint8)
        >>> Budget(0.997, 8 / 255).holds(x, x + 1), Budget(None, 2 / 255).holds(x, x + 3)
        (array([ True]), array([False]))
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
        """From an attack's parameters; PriemoError where both floors are given."""
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
        """Measures what is spent of the floor against originals (n, c, h, w) in [0, 1]."""
        assert self.floor is not None
        if self.measure == "ssim":
            return SpentSSIM(SSIMReference(x), self.floor)
        return SpentPSNR(x, self.floor)

    @property
    def most(self) -> float:
        """Largest fraction spent that keeps the floor: 1 and the slack for float noise."""
        if self.floor is None:
            return 1.0
        if self.measure == "ssim":
            return 1 + FLOOR_SLACK / (1 - self.floor)
        return mean_square(-FLOOR_SLACK)

    def holds(self, x: ByteImages, y: ByteImages) -> npt.NDArray[np.bool_]:
        """(n,) whether each published image `y` keeps the budget against its original `x`."""
        x, y = check_pair(x, y)
        return self._holds(torch.from_numpy(x), torch.from_numpy(y)).numpy()

    def _holds(self, x: Tensor, y: Tensor) -> Tensor:
        """`holds` for uint8 tensors of one device, in double precision."""
        kept = (x.to(torch.int16) - y).abs().flatten(1).amax(1) <= self.levels
        if self.floor is not None:
            kept &= self.spent(x.double() / 255)(y.double() / 255) <= self.most
        return kept


def match_budget(
    x: ByteImages, protected: FloatImages, budget: Budget, grow: bool = True, dither: bool = False
) -> ByteImages:
    """Publish each image at the scale of its perturbation that just meets the budget.

    The perturbation is scaled, down or up, and clipped to the cap. The scale is searched for on the
    rounded image until what is spent is within TOLERANCE of what the floor allows, or nothing more
    fits under the cap. The search is in single precision; its result is checked in double, and
    where that fails searched for again. The measure is computed at most 15 times, and every image
    keeps the budget (at scale 0 it always does).

    Args:
        x: (n, c, h, w) uint8 originals.
        protected: (n, c, h, w) floats in [0, 1].
        grow: whether a perturbation may be enlarged; False only shrinks.
        dither: round a scaled perturbation up or down at random (a fixed pattern) instead of to
            the nearest level, where one of less than half a level would vanish altogether.

    Returns:
        (n, c, h, w) uint8 published images.

    Example:
        >>> import numpy as np
        >>> from priemo_bench import Budget
        >>> from priemo_bench.quality import match_budget
        >>> x = np.full((1, 1, 32, 32), 128, np.uint8)
        >>> protected = (x + np.eye(32, dtype=np.float32)) / 255
        >>> int(match_budget(x, protected, Budget(None, 8 / 255)).max())
        129
    """
    change = torch.from_numpy(check_images(protected, "protected") - to_float(x)) * 255
    return match_budget_tensor(torch.from_numpy(x), change, budget, grow, dither).numpy()


def match_budget_tensor(
    x: Tensor, change: Tensor, budget: Budget, grow: bool = True, dither: bool = False
) -> Tensor:
    """`match_budget` for tensors, on their device.

    Args:
        x: (n, c, h, w) uint8 originals.
        change: (n, c, h, w) perturbations in grey levels, floating-point, of the same device.
    """
    if budget.floor is None:
        return _publish(x, change, x.new_ones(len(x), dtype=change.dtype), budget.levels)
    pattern = _dither_pattern(x) if dither else None
    largest = LARGEST if grow else 1.0
    published = torch.empty_like(x)
    for rows in torch.arange(len(x), device=x.device).tensor_split(math.ceil(x.numel() / BLOCK)):
        found = _search_scale(x[rows].float() / 255, change[rows], budget, largest, 9, pattern)
        over = ~budget._holds(x[rows], found)
        if over.any():
            again = rows[over]
            exact = x[again].double() / 255
            found[over] = _search_scale(exact, change[again], budget, largest, 5, pattern)
        published[rows] = found
    return published


def _search_scale(
    x: Tensor, change: Tensor, budget: Budget, largest: float, evaluations: int,
    pattern: Tensor | None,
) -> Tensor:  # fmt: skip
    """`match_budget` for a few images `x` in [0, 1], in their precision; uint8.

    To first order what is spent grows with the square of the scale, so its root is followed: by
    false position between the largest scale known to keep the budget and the smallest known not
    to, where an end that stays twice counts half (Illinois), kept off both by EDGE of their
    distance.

    Args:
        change: (n, c, h, w) perturbations in grey levels.
        largest: scale; evaluations: how many times the measure is computed at most.
        pattern: as for `_publish`.
    """
    allowed = budget.most if x.dtype == torch.float64 else 1 - SINGLE_PRECISION
    aim, nearly = math.sqrt((1 - TOLERANCE / 2) * allowed), math.sqrt((1 - TOLERANCE) * allowed)
    spent, levels = budget.spent(x), (x * 255).round().to(torch.uint8)
    best, rows = levels.clone(), torch.arange(len(x), device=x.device)
    scale = torch.ones(len(x), device=x.device)
    low, below = torch.zeros_like(scale), torch.zeros_like(scale)
    high, above = torch.full_like(scale, torch.inf), torch.full_like(scale, torch.inf)
    before = torch.full_like(scale, -1)
    for _ in range(evaluations):
        trial = _publish(levels, change, scale, budget.levels, pattern)
        fraction = spent(trial.to(x.dtype) / 255).to(scale.dtype)
        kept, root = fraction <= allowed, fraction.clamp_min(0).sqrt()
        best[rows[kept]] = trial[kept]
        stays = kept == before
        low, high = torch.where(kept, scale, low), torch.where(kept, high, scale)
        below = torch.where(kept, root, torch.where(stays, (below + aim) / 2, below))
        above = torch.where(kept, torch.where(stays, (above + aim) / 2, above), root)
        going = ~(kept & (root >= nearly)) & (low < (1 - MIN_BRACKET) * high.clamp_max(largest))
        going &= ~(kept & _at_cap(trial, levels, change, budget.levels))
        if not going.any():
            break
        rows, low, below, high, above, before, levels, change = (
            state[going] for state in (rows, low, below, high, above, kept, levels, change)
        )
        spent = spent.take(going)
        between = low + (aim - below) / (above - below) * (high - low)
        edge = EDGE * (high - low)
        between = torch.maximum(torch.minimum(between, high - edge), low + edge)
        # where nothing has changed on the 8-bit grid yet, `below` says nothing: go on in fours
        further = torch.where(below > 0, low * aim / below.clamp_min(1e-12), 4 * low)
        scale = torch.where(high.isfinite(), between, further.clamp_max(largest))
    return best


def _at_cap(trial: Tensor, x: Tensor, change: Tensor, levels: int) -> Tensor:
    """(n,) whether every pixel that changes has moved by the cap, or to black or white."""
    moved = trial.to(torch.int16) - x
    stuck = (moved.abs() >= levels) | (trial == 0) | (trial == 255) | (change == 0)
    return stuck.flatten(1).all(1)


def publish_scaled(
    x: ByteImages, protected: FloatImages, scale: float, budget: Budget
) -> ByteImages:
    """Originals (n, c, h, w) plus `scale` times their perturbations, capped and dithered."""
    change = torch.from_numpy(check_images(protected, "protected") - to_float(x)) * 255
    originals, scales = torch.from_numpy(x), torch.full((len(x),), float(scale))
    pattern = _dither_pattern(originals)
    return _publish(originals, change, scales, budget.levels, pattern).numpy()


def _dither_pattern(x: Tensor) -> Tensor:
    """Rounding thresholds (c, h, w) in [-.5, .5) for images of this shape, equal at every call."""
    uniform = torch.rand(x.shape[1:], generator=torch.Generator().manual_seed(0))
    return (uniform - 0.5).to(x.device)


def _publish(
    x: Tensor, change: Tensor, scale: Tensor, levels: int, pattern: Tensor | None = None
) -> Tensor:
    """8-bit images `x` plus scaled `change` (grey levels), clipped to `levels`, rounded.

    `pattern` in [-.5, .5) moves the thresholds of rounding where the scale is not 1.
    """
    scale = scale.view(-1, 1, 1, 1)
    moved = (change * scale).clamp(-levels, levels)
    if pattern is not None:
        moved = moved + pattern * (scale != 1)
    return (x.to(torch.float32) + moved).round().clamp(0, 255).to(torch.uint8)
