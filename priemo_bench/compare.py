"""What changed between two runs: ranks and rates of the rows that both have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from priemo_bench.errors import PriemoError
from priemo_bench.leaderboard import Tables
from priemo_bench.protection import paired_bootstrap
from priemo_bench.rows import ROW, Rows


def compared(old: Path, new: Path) -> pd.DataFrame:
    """One line per row of both leaderboards, largest loss first.

    Columns: ROW, rank_old, rank_new, rate_old, rate_new, change with its paired 95 % interval
    change_low .. change_high (over the images that both runs have), images.

    Raises:
        PriemoError: a folder without results.parquet, or runs without a common row.
    """
    before, after = (Tables(Rows.load(folder / "results.parquet")) for folder in (old, new))
    own = ["rank", "protection_rate"]
    left = before.board[[*ROW, *own]].reset_index(names="row")
    right = after.board[[*ROW, *own]].reset_index(names="row")
    table = left.merge(right, on=ROW, suffixes=("_old", "_new"))
    table = table.dropna(subset=["protection_rate_old", "protection_rate_new"], how="all")
    if table.empty:
        raise PriemoError(f"{old} and {new} have no row in common; compare runs of one spec")
    changes = [
        _change(before, after, int(a), int(b))
        for a, b in zip(table["row_old"], table["row_new"], strict=True)
    ]
    names = ["change", "change_low", "change_high", "images"]
    table[names] = pd.DataFrame(changes, index=table.index, columns=names)
    table = table.rename(
        columns={"protection_rate_old": "rate_old", "protection_rate_new": "rate_new"}
    )
    kept = [*ROW, "rank_old", "rank_new", "rate_old", "rate_new", *names]
    return table[kept].sort_values("change", kind="stable").reset_index(drop=True)


def regressions(table: pd.DataFrame) -> pd.DataFrame:
    """Rows that got worse: the whole interval below zero, or the row failed where it had not."""
    failed = table["rate_new"].isna() & table["rate_old"].notna()
    return table[(table["change_high"] < 0) | failed]


def _change(before: Tables, after: Tables, old: int, new: int) -> tuple[float, float, float, int]:
    if old not in before.rates.judges or new not in after.rates.judges:
        return np.nan, np.nan, np.nan, 0
    pair = pd.concat(
        [after.rates.outcome([new]), before.rates.outcome([old])], axis=1, keys=["new", "old"]
    ).dropna()
    if pair.empty:
        return np.nan, np.nan, np.nan, 0
    persons = pair.index.get_level_values("person").astype(str).to_numpy()
    change = paired_bootstrap(pair["new"].to_numpy(), pair["old"].to_numpy(), persons)
    return change.value, change.low, change.high, len(pair)
