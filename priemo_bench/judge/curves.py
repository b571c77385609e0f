"""Protection against quality: what the runs of several SSIM floors say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log

import pandas as pd
from scipy.integrate import trapezoid

from priemo_bench.judge.leaderboard import Tables

KEYS = ["dataset", "budget", "attack", "scope", "scale", "targeted", "threat"]
"""What one curve is."""
SHOWN = [
    "ssim_floor", "psnr_floor", "eps", "n", "seeds", "surrogates", "rank", "protection_rate",
    "protection_low", "protection_high", "macro_protection_rate", "transfer_rate", "transfer_low",
    "transfer_high", "next_low", "next_high", "targeted_rate", "ssim", "ssim_worst", "psnr",
    "within_budget", "budget_used", "on_floor", "unused",
]  # fmt: skip


def curves(tables: Mapping[float, Tables]) -> pd.DataFrame:
    """One line per method and floor, largest area first, with the `area` of its curve.

    Args:
        tables: SSIM floor to the tables of its run.
    """
    parts = []
    for floor, own in tables.items():
        psnr, eps = own.rows.facts.get("psnr_floor"), own.rows.facts["eps"]
        budget = {"ssim_floor": floor, "psnr_floor": psnr or float("nan"), "eps": eps}
        parts.append(own.methods().assign(**budget))
    table = pd.concat(parts, ignore_index=True)
    found = [
        part.assign(area=_area(part, list(tables))) for _, part in table.groupby(KEYS, sort=False)
    ]
    joined = pd.concat(found).sort_values(
        ["dataset", "targeted", "area", *KEYS[1:], "ssim_floor"],
        ascending=[True, True, False, *([True] * len(KEYS[1:])), False],
        kind="stable",
    )
    return joined[[*KEYS, "area", *SHOWN]].reset_index(drop=True)


def _area(part: pd.DataFrame, floors: list[float]) -> float:
    """`area` of one method; NaN where a floor is missing."""
    rates = part.set_index("ssim_floor")["protection_rate"].reindex(floors)
    return float("nan") if rates.isna().any() else area(floors, rates.tolist())


def area(floors: Sequence[float], rates: Sequence[float]) -> float:
    """Mean protection rate over the logarithm of the allowed SSIM drop, by trapezoids, 0 to 1.

    A factor of two in the drop counts the same everywhere: how much is protected at almost no loss
    weighs as much as what a visible loss buys.
    """
    drops, values = zip(
        *sorted((log(1 - f), r) for f, r in zip(floors, rates, strict=True)), strict=True
    )
    return float(trapezoid(values, drops) / (drops[-1] - drops[0]))
