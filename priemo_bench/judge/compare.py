"""Changes between two runs: ranks and rates of the rows that both have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from priemo_bench.contracts.rows import ROW, Rows
from priemo_bench.errors import PriemoError
from priemo_bench.judge.difference import difference, holm
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.judge.predictions import Clusters
from priemo_bench.judge.ranking import ALPHA, only_victims
from priemo_bench.judge.rates import Rates

CHANGE = ["rate_old", "rate_new", "change", "change_low", "change_high", "p", "images"]


def compared(old: Path, new: Path) -> pd.DataFrame:
    """One line per row of both leaderboards, largest loss first.

    Columns: ROW, rank_old, rank_new, rate_old, rate_new and their difference `change` with its
    paired 95 % interval change_low .. change_high, all on the `images` and victims that both runs
    have; `p` of that difference, with Holm's correction over the lines.

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
        _change(before.rates, after.rates, int(a), int(b))
        for a, b in zip(table["row_old"], table["row_new"], strict=True)
    ]
    table[CHANGE] = pd.DataFrame(changes, index=table.index, columns=CHANGE)
    tested = table["p"].notna()
    table.loc[tested, "p"] = holm(table.loc[tested, "p"].tolist())
    kept = [*ROW, "rank_old", "rank_new", *CHANGE]
    return table[kept].sort_values("change", kind="stable").reset_index(drop=True)


def regressions(table: pd.DataFrame) -> pd.DataFrame:
    """Lines of `compared` with a significant loss, or that failed in the new run only."""
    failed = table["rate_new"].isna() & table["rate_old"].notna()
    return table[((table["change"] < 0) & (table["p"] < ALPHA)) | failed]


def _change(before: Rates, after: Rates, old: int, new: int) -> list[float]:
    """CHANGE of a row that has the number `old` in one run and `new` in the other."""
    sides = [(before, old), (after, new)]
    judges = [rates.predictions.judges.get(row) for rates, row in sides]
    if judges[0] is None or judges[1] is None:
        values = [rates.estimate(rates.judging([row])).value if own else np.nan
                  for (rates, row), own in zip(sides, judges, strict=True)]  # fmt: skip
        return [*values, np.nan, np.nan, np.nan, np.nan, 0]
    victims = set(judges[0].victims) & set(judges[1].victims)
    clusters, images = _common(before, after, old, new)
    if not victims or not images:
        return [np.nan] * 6 + [0]
    then, now = (
        rates.estimate(only_victims(rates.judging([row]), victims), clusters=own)
        for (rates, row), own in zip(sides, clusters, strict=True)
    )
    found = difference(now, then, same_seeds=_seeds(before, old) == _seeds(after, new))
    return [then.value, now.value, found.value, found.low, found.high, found.p, images]


def _seeds(rates: Rates, row: int) -> list[int]:
    victim = rates.predictions.judges[row].victims[0]
    seeds: list[int] = rates.predictions.arrays[row, "none", victim].seeds.tolist()
    return seeds


def _common(before: Rates, after: Rates, old: int, new: int) -> tuple[list[Clusters], int]:
    """The images of both rows by person, numbered alike in both runs; how many images."""
    named = []
    for own, row in ((before.predictions, old), (after.predictions, new)):
        numbers = own.arrays[row, "none", own.victims[row][0]].images
        named.append(own.images.loc[numbers].reset_index(names="number").set_index("image"))
    both = named[0].index.intersection(named[1].index)
    codes, persons = pd.factorize(named[0].loc[both, "person"])
    clusters = []
    for rates, names in zip((before, after), named, strict=True):
        of_image = np.full(len(rates.predictions.images), -1)
        of_image[names.loc[both, "number"]] = codes
        clusters.append(Clusters(of_image, len(persons)))
    return clusters, len(both)
