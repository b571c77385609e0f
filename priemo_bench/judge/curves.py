"""Protection against quality: the runs of several SSIM floors in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log

import pandas as pd
import scipy  # loads scipy.integrate when it is first used

from priemo_bench.judge.leaderboard import Tables

KEYS = ["dataset", "budget", "attack", "scope", "scale", "targeted", "threat"]
"""What one curve is."""
SHOWN = [
    "ssim_floor", "psnr_floor", "eps", "n", "seeds", "surrogates", "rank", "protection_rate",
    "protection_low", "protection_high", "macro_protection_rate", "transfer_rate", "transfer_low",
    "transfer_high", "next_low", "next_high", "targeted_rate", "ssim", "ssim_worst", "psnr",
    "within_budget", "budget_used", "on_floor", "unused",
]  # fmt: skip
"""Of each of its points; further metrics of the runs follow."""


def curves(tables: Mapping[float, Tables]) -> pd.DataFrame:
    """One line per method and floor, largest area first, with the `area` of its curve.

    Args:
        tables: SSIM floor to the tables of its run.
    """
    parts = []
    for floor, own in tables.items():
        _, psnr_floor, eps = own.rows.bounds
        bounds = {"ssim_floor": floor, "psnr_floor": psnr_floor or float("nan"), "eps": eps}
        parts.append(own.methods().assign(**bounds))
    table = pd.concat(parts, ignore_index=True)
    found = [
        part.assign(area=_area(part, list(tables))) for _, part in table.groupby(KEYS, sort=False)
    ]
    joined = pd.concat(found).sort_values(
        ["dataset", "targeted", "area", *KEYS[1:], "ssim_floor"],
        ascending=[True, True, False, *([True] * len(KEYS[1:])), False],
        kind="stable",
    )
    metrics = dict.fromkeys(name for own in tables.values() for name in own.rows.further_metrics)
    return joined[[*KEYS, "area", *SHOWN, *metrics]].reset_index(drop=True)


def _area(part: pd.DataFrame, floors: list[float]) -> float:
    """`area` of one method; NaN where a floor is missing."""
    rates = part.set_index("ssim_floor")["protection_rate"].reindex(floors)
    return float("nan") if rates.isna().any() else area(floors, rates.tolist())


def area(floors: Sequence[float], rates: Sequence[float]) -> float:
    """Mean protection rate over the logarithm of the allowed SSIM drop, by trapezoids, 0 to 1.

    A factor of two in the drop counts the same everywhere, so protection at almost no loss counts
    as much as protection at a visible loss.

    Args:
        floors: two or more SSIM floors below 1, in any order. rates: the protection rate at each.

    Example:
        >>> round(area([0.999, 0.99, 0.9], [0.0, 0.5, 1.0]), 3)
        0.5
    """
    drops, values = zip(
        *sorted((log(1 - f), r) for f, r in zip(floors, rates, strict=True)), strict=True
    )
    return float(scipy.integrate.trapezoid(values, drops) / (drops[-1] - drops[0]))
