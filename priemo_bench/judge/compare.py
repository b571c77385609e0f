"""Changes between two runs: ranks and rates of the rows that both have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from priemo_bench.contracts.columns import ROW
from priemo_bench.contracts.outcomes import IntArray
from priemo_bench.contracts.rows import Rows
from priemo_bench.errors import PriemoError
from priemo_bench.judge.difference import difference, holm
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.judge.levels import ALPHA
from priemo_bench.judge.predictions import Clusters, Predictions
from priemo_bench.judge.ranking import only_victims
from priemo_bench.judge.rates import Rates
from priemo_bench.judge.unlike import other_pictures, unlike_budgets, unlike_runs

CHANGE = ["rate_old", "rate_new", "change", "change_low", "change_high", "p", "images"]


def compared(old: Path, new: Path) -> pd.DataFrame:
    """One line per row of both leaderboards, largest loss first.

    Columns: ROW, rank_old, rank_new, rate_old, rate_new and their difference `change` with its
    paired 95 % interval change_low .. change_high, all on the `images` and victims that both runs
    have; `p` of that difference, with Holm's correction over the lines. `attrs["notes"]` are
    sentences on what else differs: budgets and pictures that were left out, weights.

    Raises:
        PriemoError: a folder without results.parquet; runs without a common row, under other
            budgets, or of other pictures under the same names.
    """
    before, after = (Tables(Rows.load(folder / "results.parquet")) for folder in (old, new))
    own = ["rank", "protection_rate"]
    left = before.ranked[[*ROW, *own]].reset_index(names="row")
    right = after.ranked[[*ROW, *own]].reset_index(names="row")
    table = left.merge(right, on=ROW, suffixes=("_old", "_new"))
    table = table.dropna(subset=["protection_rate_old", "protection_rate_new"], how="all")
    if table.empty:
        raise PriemoError(f"{old} and {new} have no row in common; compare runs of one spec")
    budgets = unlike_budgets(before.rows.bounds, after.rows.bounds)
    table = table[~table["budget"].isin(budgets)]
    if table.empty:
        raise PriemoError(f"{old} and {new} have other budgets: {'; '.join(budgets.values())}")
    others = other_pictures(before.rows, after.rows)
    twins = _twins(before.predictions, after.predictions, others)
    if any(others.values()) and (twins < 0).all():
        raise PriemoError(f"{old} and {new} have no picture in common: {_named(others)}")
    changes = [
        _change(before.rates, after.rates, twins, int(a), int(b))
        for a, b in zip(table["row_old"], table["row_new"], strict=True)
    ]
    table[CHANGE] = pd.DataFrame(changes, index=table.index, columns=CHANGE)
    tested = table["p"].notna()
    table.loc[tested, "p"] = holm(table.loc[tested, "p"].tolist())
    kept = [*ROW, "rank_old", "rank_new", *CHANGE]
    table = table[kept].sort_values("change", kind="stable").reset_index(drop=True)
    table.attrs["notes"] = [
        *(f"left out: rows of other budgets ({words})" for words in budgets.values()),
        *([f"left out: {_named(others)}"] if any(others.values()) else []),
        *unlike_runs(before.rows, after.rows),
    ]
    return table


def regressions(table: pd.DataFrame) -> pd.DataFrame:
    """Lines of `compared` with a significant loss, or that failed in the new run only."""
    failed = table["rate_new"].isna() & table["rate_old"].notna()
    return table[((table["change"] < 0) & (table["p"] < ALPHA)) | failed]


def _named(others: Mapping[str, Sequence[str]]) -> str:
    parts = [f"{len(names)} of {dataset}" for dataset, names in others.items() if names]
    return f"{' and '.join(parts)} have the same names and other pixels"


def _change(before: Rates, after: Rates, twins: IntArray, old: int, new: int) -> list[float]:
    """CHANGE of a row that has the number `old` in one run and `new` in the other."""
    sides = [(before, old), (after, new)]
    judges = [set(rates.predictions.judges[row].victims) for rates, row in sides]
    victims = judges[0] & judges[1]
    if not victims:
        alone = [np.nan, np.nan] if all(judges) else [r.judged([row]).value for r, row in sides]
        return [*alone, np.nan, np.nan, np.nan, np.nan, 0]
    clusters, images = _common(before, after, twins, old, new)
    if not images:
        return [np.nan] * 6 + [0]
    then, now = (
        rates.estimate(only_victims(rates.judging([row]), victims), clusters=own)
        for (rates, row), own in zip(sides, clusters, strict=True)
    )
    found = difference(now, then, same_seeds=_seeds(before, old) == _seeds(after, new))
    return [then.value, now.value, found.value, found.low, found.high, found.p, images]


def _seeds(rates: Rates, row: int) -> list[int]:
    """Of its judging victims; where one has lost a seed, estimates have none of their own."""
    arrays = rates.predictions.arrays
    judges = rates.predictions.judges[row].victims
    return sorted({int(seed) for victim in judges for seed in arrays[row, "none", victim].seeds})


def _common(
    before: Rates, after: Rates, numbers: IntArray, old: int, new: int
) -> tuple[list[Clusters], int]:
    """The images of both rows by person, numbered alike in both runs; how many images."""
    images = [
        own.arrays[row, "none", own.victims[row][0]].images
        for own, row in ((before.predictions, old), (after.predictions, new))
    ]
    twins = numbers[images[0]]
    shared = np.isin(twins, images[1])
    persons = before.predictions.images["person"].to_numpy()[images[0][shared]]
    codes, found = pd.factorize(persons)
    clusters = []
    for rates, numbers in ((before, images[0][shared]), (after, twins[shared])):
        of_image = np.full(len(rates.predictions.images), -1)
        of_image[numbers] = codes
        clusters.append(Clusters(of_image, len(found)))
    return clusters, len(codes)


def _twins(
    before: Predictions, after: Predictions, others: Mapping[str, Sequence[str]]
) -> IntArray:
    """For each image of one run its number in another; -1 for none, and for `others`."""
    left, right = (pd.MultiIndex.from_frame(own.images[["dataset", "image"]].astype(str))
                   for own in (before, after))  # fmt: skip
    found = right.get_indexer(left)
    unlike = [(dataset, name) for dataset, names in others.items() for name in names]
    return np.where(left.isin(unlike), -1, found)
