"""Protection against quality: the budgets of a run in one table, with the area under each curve."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import pandas as pd
import scipy  # loads scipy.integrate when it is first used

from priemo_bench.contracts.budgets import CONVENTIONAL, EQUAL, kind
from priemo_bench.judge.columns import BOUNDS
from priemo_bench.judge.leaderboard import Tables

KEYS = ["dataset", "measure", "attack", "scope", "scale", "targeted", "threat"]
"""What one curve is; `measure` is the kind of its budgets, "equal" or "equal-psnr"."""
SHOWN = [
    "budget", *BOUNDS, "n", "seeds", "surrogates", "rank", "protection_rate", "protection_low",
    "protection_high", "survival", "survival_low", "survival_high", "macro_protection_rate",
    "transfer_rate", "transfer_low", "transfer_high", "next_low", "next_high", "targeted_rate",
    "ssim", "ssim_worst", "psnr", "ms_per_image", "within_budget", "budget_used", "on_floor",
    "unused",
]  # fmt: skip
"""Of each of its points; further metrics of the run follow."""


def curves(tables: Tables) -> pd.DataFrame:
    """One line per method and budget, largest `area` first, each curve from the highest floor down.

    Conventional settings are no points; `area` is NaN for a method that lacks a floor which
    others have, and in a run with a single floor.
    """
    metrics = tables.rows.further_metrics
    methods = tables.methods()
    methods = methods[methods["budget"] != CONVENTIONAL]
    table = methods.assign(measure=methods["budget"].map(kind))
    floor = table["ssim_floor"].where(table["measure"] == EQUAL, table["psnr_floor"])
    table = table.assign(floor=floor, area=float("nan"))
    for _, own in table.groupby(["dataset", "measure"], sort=False):
        drops = {f: _drop(f, str(own["measure"].iloc[0])) for f in own["floor"].unique()}
        for _, part in own.groupby(KEYS, sort=False):
            table.loc[part.index, "area"] = _area(part, drops)
    table = table.sort_values(
        ["dataset", "targeted", "measure", "area", *KEYS[2:5], "threat", "floor"],
        ascending=[True, True, True, False, True, True, True, True, False],
        kind="stable",
    )
    return table[[*KEYS, "area", *SHOWN, *metrics]].reset_index(drop=True)


def _drop(floor: float, measure: str) -> float:
    """The allowed loss: of SSIM, or the mean squared error of a PSNR floor."""
    return 1 - floor if measure == EQUAL else 10 ** (-floor / 10)


def _area(part: pd.DataFrame, drops: dict[float, float]) -> float:
    """`area` of one method; NaN where a floor is missing, or there is one only."""
    rates = part.set_index("floor")["protection_rate"].reindex(list(drops))
    if rates.isna().any() or len(drops) < 2:
        return float("nan")
    return area([1 - drop for drop in drops.values()], rates.tolist())


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
