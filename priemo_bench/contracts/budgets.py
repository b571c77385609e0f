"""The budgets of a run: their names, and what each allows.

| budget | what every published image keeps |
|---|---|
| `equal` | the SSIM floor of the run |
| `equal-0.98` ... | one of its further SSIM floors |
| `equal-psnr`, `equal-psnr-33.8` ... | the PSNR floor; those beside further SSIM floors |
| `conventional` | nothing: the settings that an attack is usually run with |
"""

from __future__ import annotations

from collections.abc import Iterable
from math import log10
from typing import NamedTuple

EQUAL, EQUAL_PSNR, CONVENTIONAL = KINDS = ("equal", "equal-psnr", "conventional")
"""Kinds of budgets; the first of a kind is called as the kind."""
CAPS = ((0.999, 4 / 255), (0.997, 8 / 255), (0.98, 16 / 255), (-1.0, 32 / 255))
"""SSIM floors, from each of which up the linf cap beside it holds."""


class Bounds(NamedTuple):
    """What a budget allows; None is no bound. `eps` is the linf cap, 0 to 1."""

    ssim_floor: float | None
    psnr_floor: float | None
    eps: float | None


def cap(floor: float) -> float:
    """The linf cap that belongs to an SSIM floor, by CAPS.

    Example:
        >>> from priemo_bench.contracts.budgets import cap
        >>> round(cap(0.98) * 255)
        16
    """
    return next(eps for least, eps in CAPS if floor >= least)


def kind(budget: str) -> str:
    """The one of KINDS that a budget is of.

    Example:
        >>> from priemo_bench.contracts.budgets import kind
        >>> kind("equal-0.98"), kind("equal-psnr-33.8")
        ('equal', 'equal-psnr')
    """
    return next(own for own in (CONVENTIONAL, EQUAL_PSNR, EQUAL) if budget.startswith(own))


def budgets(bounds: Bounds, floors: Iterable[float] = ()) -> dict[str, Bounds]:
    """The budgets of a run by name, the first SSIM floor first.

    Args:
        bounds: the first floors and their cap.
        floors: further SSIM floors, each with the cap of CAPS, and with a PSNR floor beside it
            where `bounds` has one: the energy grows as the allowed SSIM drop.

    Example:
        >>> from priemo_bench.contracts.budgets import Bounds, budgets
        >>> for name, own in budgets(Bounds(0.997, 42, 8 / 255), [0.98]).items():
        ...     print(name, own.ssim_floor, own.psnr_floor, round(255 * own.eps))
        equal 0.997 None 8
        equal-0.98 0.98 None 16
        equal-psnr None 42 8
        equal-psnr-33.8 None 33.8 16
        conventional 0.997 None 8
    """
    ssim, psnr, eps = bounds
    floors, found = tuple(floors), {}
    if ssim is not None or psnr is None:
        found[EQUAL] = Bounds(ssim, None, eps)
    found |= {f"{EQUAL}-{floor:g}": Bounds(floor, None, cap(floor)) for floor in floors}
    if psnr is not None:
        found[EQUAL_PSNR] = Bounds(None, psnr, eps)
    if psnr is not None and ssim is not None:
        for floor in floors:
            beside = round(psnr - 10 * log10((1 - floor) / (1 - ssim)), 1)
            found[f"{EQUAL_PSNR}-{beside:g}"] = Bounds(None, beside, cap(floor))
    found[CONVENTIONAL] = Bounds(ssim, None if ssim is not None else psnr, eps)
    return found
