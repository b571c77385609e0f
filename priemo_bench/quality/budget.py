"""The budget of every published image, and the scale at which a perturbation just meets it.

A budget is a quality measure, a floor of it and a linf cap. What an image has spent of it is a
fraction: its SSIM drop over the drop that the floor allows, or its mean squared error likewise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Literal, get_args

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
from priemo_bench.quality.structural import CARRIED, SSIMReference, blocks, drops
from priemo_bench.registry import unknown

Measure = Literal["ssim", "psnr"]

SINGLE_PRECISION = 1e-3
"""Fraction of what a floor allows that is kept back while it is computed in float32."""
TOLERANCE = 0.005
"""The search ends when an image leaves at most this fraction of what its floor allows."""
EVALUATIONS, SECANTS = 10, 5
"""How many times the measure is computed at most, and those of them that follow a power."""
TYPICAL = 1.6
"""Exponent of the scale with which what is spent grows, before two trials tell."""
STEP = 16.0
"""Largest factor between two trials."""
MIN_BRACKET = 1e-3
"""Relative width of the bracket at which the search ends: rounding makes SSIM jump."""
EDGE = 5e-4
"""Relative distance that a trial keeps from both ends of the bracket."""
LARGEST = 1e4
"""Largest scale: a ten-thousandth of a grey level becomes a whole one."""


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
        for name, value in ((f"{self.measure}_floor", self.floor), ("eps", self.eps)):
            if value is not None and not isinstance(value, Real):
                raise PriemoError(f"{name} is {value!r}; it must be a number or None")
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

    def spent(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """What images spend of the floor, against originals `x` (n, c, h, w) in [0, 1].

        Returns:
            A differentiable function of images like `x` to (n,) fractions of what the floor
            allows; 1 is on the floor.
        """
        assert self.floor is not None
        allowed = self._allowed
        if self.measure == "psnr":
            return lambda y: (y - x).square().mean((1, 2, 3)) / allowed
        reference = SSIMReference(x)
        return lambda y: (1 - reference.worst(y)) / allowed

    @property
    def _allowed(self) -> float:
        """SSIM drop, or mean squared error, that the floor allows."""
        assert self.floor is not None
        return 1 - self.floor if self.measure == "ssim" else mean_square(self.floor)

    def _spent(self, x: Tensor, y: Tensor, dtype: torch.dtype) -> Tensor:
        """(n,) fractions spent by images `y` of 0 to 255 against `x`, each pair once."""
        if self.measure == "psnr":
            squares = ((y.to(dtype) - x) / 255).square().mean((1, 2, 3))
            return squares / self._allowed
        return drops(x, y, dtype).amax(0) / self._allowed

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
        originals, published = torch.from_numpy(x), torch.from_numpy(y)
        rows = blocks(len(x), x[0].size, originals.device)
        return torch.cat([self._holds(originals[part], published[part]) for part in rows]).numpy()

    def _holds(self, x: Tensor, y: Tensor) -> Tensor:
        """`holds` for a few uint8 tensors of one device, in double precision."""
        kept = (x.to(torch.int16) - y).abs().flatten(1).amax(1) <= self.levels
        if self.floor is not None:
            kept &= self._spent(x, y, torch.float64) <= self.most
        return kept


def match_budget(
    x: ByteImages, protected: FloatImages, budget: Budget, grow: bool = True, dither: bool = False
) -> ByteImages:
    """Publish each image at the scale of its perturbation that just meets the budget.

    The perturbation is scaled, down or up, and clipped to the cap. The scale is searched for on the
    rounded image until what is spent is within TOLERANCE of what the floor allows, or nothing more
    fits under the cap. Every image keeps the budget (at scale 0 it always does). The measure is
    computed at most EVALUATIONS times, in single precision, and SINGLE_PRECISION is kept back.

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
    published = np.empty_like(x)
    for start in range(0, len(x), CARRIED):
        rows = slice(start, start + CARRIED)
        change = check_images(protected[rows], "protected") - to_float(x[rows])
        levels = torch.from_numpy(change).mul_(255)
        found = match_budget_tensor(torch.from_numpy(x[rows]), levels, budget, grow, dither)
        published[rows] = found.numpy()
    return published


def match_budget_tensor(
    x: Tensor, change: Tensor, budget: Budget, grow: bool = True, dither: bool = False
) -> Tensor:
    """`match_budget` for tensors, on their device.

    Args:
        x: (n, c, h, w) uint8 originals.
        change: (n, c, h, w) perturbations in grey levels, floating-point, of the same device.
    """
    pattern = _dither_pattern(x) if dither else None
    scale = torch.ones(len(x), device=x.device)
    if budget.floor is not None:
        scale = _search_scale(x, change, budget, grow, pattern)
    published = torch.empty_like(x)
    for rows in blocks(len(x), x[:1].numel(), x.device):
        published[rows] = _publish(x[rows], change[rows], scale[rows], budget.levels, pattern)
    return published


@torch.no_grad()
def _search_scale(
    x: Tensor, change: Tensor, budget: Budget, grow: bool, pattern: Tensor | None
) -> Tensor:
    """(n,) largest scales found that keep the budget; arguments as for `match_budget_tensor`.

    What is spent grows about as a power of the scale. Its exponent is taken from the last two
    trials (the secant method in logarithms), within the largest scale known to keep the budget and
    the smallest known not to; where that leads out of them, or takes long, they are halved.
    """
    allowed, aim, nearly = ((1 - SINGLE_PRECISION) * (1 - t * TOLERANCE) for t in (0, 0.5, 1))
    rows, best = torch.arange(len(x), device=x.device), torch.zeros(len(x), device=x.device)
    scale, top = torch.ones_like(best), torch.full_like(best, LARGEST if grow else 1)
    low, high = torch.zeros_like(best), torch.full_like(best, torch.inf)
    scale_before, spent_before = torch.full_like(best, torch.nan), torch.full_like(best, torch.nan)
    for trial in range(EVALUATIONS):
        spent = torch.cat([
            _spent_at(x, change, rows[part], scale[part], budget, pattern)
            if trial
            else _spent_at(x, change, part, scale[part], budget, None)
            for part in blocks(len(rows), x[:1].numel(), x.device)
        ])  # fmt: skip
        kept = spent <= allowed
        low, high = torch.where(kept, scale, low), torch.where(kept, high, scale)
        best[rows] = low
        if trial == 0 and grow:
            _set_saturation(top, (kept & (spent < nearly)).nonzero()[:, 0], x, change, budget)
        going = ~(kept & (spent >= nearly)) & (low < (1 - MIN_BRACKET) * torch.minimum(high, top))
        left = going.nonzero()[:, 0]
        if not len(left):
            break
        rows, low, high, top, scale, spent, scale_before, spent_before = (
            state[left]
            for state in (rows, low, high, top, scale, spent, scale_before, spent_before)
        )
        exponent = (spent / spent_before).log() / (scale / scale_before).log()
        exponent = exponent.nan_to_num(TYPICAL, TYPICAL, TYPICAL).clamp(0.5, 3)
        step = (aim / spent.clamp_min(1e-12)).pow(1 / exponent).clamp(1 / STEP, STEP)
        scale_before, spent_before = scale, spent
        scale = torch.minimum(scale * step, top)
        outside = (scale <= low * (1 + EDGE)) | (scale >= high * (1 - EDGE))
        halved = (low.clamp_min(1 / LARGEST) * high).sqrt()
        scale = torch.where(high.isfinite() & (outside | (trial > SECANTS)), halved, scale)
    return best


def _spent_at(
    x: Tensor, change: Tensor, rows: Tensor | slice, scale: Tensor, budget: Budget,
    pattern: Tensor | None,
) -> Tensor:  # fmt: skip
    """(n,) fractions that the images in `rows` spend at these scales of theirs."""
    x, change = (
        z[rows] if isinstance(rows, slice) else z.index_select(0, rows) for z in (x, change)
    )
    originals = x.to(torch.float32)
    trial = _shifted(originals, change, scale, budget.levels, pattern)
    return budget._spent(originals, trial, torch.float32)


def _set_saturation(top: Tensor, rows: Tensor, x: Tensor, change: Tensor, budget: Budget) -> None:
    """Set `top` (n,) of `rows` to the scale at which all that changes has moved by the cap.

    Or to black or white.
    """
    for part in blocks(len(rows), x[:1].numel(), x.device):
        some = rows[part]
        moved = change.index_select(0, some)
        # 255 - x where the change is positive, and x where it is negative
        room = (127.5 - x.index_select(0, some)).mul_(moved.sign()).add_(127.5)
        scales = room.clamp_max_(budget.levels).div_(moved.abs_())
        scales.nan_to_num_(0, posinf=0)  # where nothing changes
        top[some] = scales.flatten(1).amax(1).clamp(1e-6, LARGEST).to(top.dtype)


def publish_scaled(
    x: ByteImages, protected: FloatImages, scale: float, budget: Budget
) -> ByteImages:
    """Originals (n, c, h, w) plus `scale` times their perturbations, capped and dithered."""
    change = torch.from_numpy(check_images(protected, "protected") - to_float(x)) * 255
    originals, scales = torch.from_numpy(x), torch.full((len(x),), float(scale))
    pattern = _dither_pattern(originals)
    return _publish(originals, change, scales, budget.levels, pattern).numpy()


def _dither_pattern(x: Tensor) -> Tensor:
    """Rounding thresholds (c, h, w) in (-.5, .5) for images of this shape, equal at every call."""
    uniform = torch.rand(x.shape[1:], generator=torch.Generator().manual_seed(0))
    # never so close to half a level that float noise makes a whole one of it
    return (uniform - 0.5).clamp(-0.499, 0.499).to(x.device)


def _publish(
    x: Tensor, change: Tensor, scale: Tensor, levels: int, pattern: Tensor | None = None
) -> Tensor:
    """8-bit images `x` plus scaled `change` (grey levels), clipped to `levels`, rounded.

    `pattern` in (-.5, .5) moves the thresholds of rounding where the scale is not 1.
    """
    if pattern is not None:
        pattern = pattern * (scale != 1).view(-1, 1, 1, 1)
    return _shifted(x, change, scale, levels, pattern).to(torch.uint8)


def _shifted(
    x: Tensor, change: Tensor, scale: Tensor, levels: int, pattern: Tensor | None
) -> Tensor:
    """`_publish`, as float32, with the pattern at every scale."""
    moved = (change.to(torch.float32) * scale.view(-1, 1, 1, 1)).clamp_(-levels, levels)
    if pattern is not None:
        moved.add_(pattern)
    return moved.add_(x).round_().clamp_(0, 255)
