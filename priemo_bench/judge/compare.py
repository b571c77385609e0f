"""Changes between two runs: ranks and rates of the rows that both have."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

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
from priemo_bench.judge.unlike import unknown_pictures, unlike

CHANGE = ["rate_old", "rate_new", "change", "change_low", "change_high", "p", "images"]
VERDICTS = {
    "less": "protect less",
    "failed": "have failed in the new run",
    "more": "protect more",
    "mended": "had failed in the old run",
    "chance": "differ by no more than chance",
    "rank": "change in rank only",
    "unlike": "share no victim or no picture",
    "same": "agree",
}
"""What may be said of a row of both runs, and in which words."""


def compared(old: Path, new: Path) -> pd.DataFrame:
    """One line per row of both leaderboards, largest loss first.

    Columns: ROW, rank_old, rank_new, rate_old, rate_new and their difference `change` with its
    paired 95 % interval change_low .. change_high, all on the `images` and victims that both runs
    have; `p` of that difference, with Holm's correction over the lines; `verdict`, one of VERDICTS.
    `attrs["notes"]` are sentences on rows that one run has alone, and on pictures that are
    paired by their names because an older run did not write down what they are.

    Raises:
        PriemoError: a folder without results.parquet; runs without a common row; or that mean
            different things by one name: other pictures, budgets, or weights of a victim.
    """
    before, after = (Tables(Rows.load(folder / "results.parquet")) for folder in (old, new))
    own = ["rank", "protection_rate"]
    left = before.ranked[[*ROW, *own]].reset_index(names="row")
    right = after.ranked[[*ROW, *own]].reset_index(names="row")
    table = left.merge(right, "outer", ROW, suffixes=("_old", "_new"), indicator="side")
    notes = [
        *_alone(table[table["side"] == "left_only"], "old"),
        *_alone(table[table["side"] == "right_only"], "new"),
    ]
    table = table[table["side"] == "both"]
    table = table.dropna(subset=["protection_rate_old", "protection_rate_new"], how="all")
    if table.empty:
        raise PriemoError(f"{old} and {new} have no row in common; compare runs of one spec")
    if faults := unlike(before.rows, after.rows, table["budget"]):
        raise PriemoError(
            f"{old} and {new} cannot be compared: {'; '.join(faults)}, under the same name"
        )
    twins = _twins(before.predictions, after.predictions)
    changes = [
        _change(before.rates, after.rates, twins, int(a), int(b))
        for a, b in zip(table["row_old"], table["row_new"], strict=True)
    ]
    table[CHANGE] = pd.DataFrame(changes, index=table.index, columns=CHANGE)
    tested = table["p"].notna()
    table.loc[tested, "p"] = holm(table.loc[tested, "p"].tolist())
    table["verdict"] = [_verdict(line) for line in table.to_dict("records")]
    kept = [*ROW, "rank_old", "rank_new", *CHANGE, "verdict"]
    table = table[kept].sort_values("change", kind="stable").reset_index(drop=True)
    table.attrs["notes"] = [*notes, *unknown_pictures(before.rows, after.rows)]
    return table


def sentence(table: pd.DataFrame) -> str:
    """What `compared` found, in one sentence.

    Example:
        >>> sentence(pd.DataFrame({"verdict": ["less", "same", "same"]}))
        '1 of 3 rows protects less; 2 agree'
        >>> sentence(pd.DataFrame({"verdict": ["same"] * 46}))
        'nothing changed: 46 rows agree'
    """
    counts = table["verdict"].value_counts().to_dict()
    if set(counts) == {"same"}:
        return f"nothing changed: {len(table)} row{'s agree' if len(table) > 1 else ' agrees'}"
    parts = [
        f"{counts[name]} {_singular(words) if counts[name] == 1 else words}"
        for name, words in VERDICTS.items()
        if name in counts
    ]
    number, _, words = parts[0].partition(" ")
    return "; ".join([f"{number} of {len(table)} rows {words}", *parts[1:]])


def _singular(words: str) -> str:
    verb, _, rest = words.partition(" ")
    one = {"have": "has", "had": "had"}.get(verb, f"{verb}s")
    return f"{one} {rest}".rstrip()


def _verdict(line: Mapping[Hashable, Any]) -> str:
    lost, made = pd.isna(line["rate_new"]), pd.isna(line["rate_old"])
    if lost != made:
        return "failed" if lost else "mended"
    if pd.isna(line["change"]):
        return "unlike"
    if line["p"] < ALPHA and line["change"]:
        return "less" if line["change"] < 0 else "more"
    if line["change"]:
        return "chance"
    before, after = (None if pd.isna(r) else int(r) for r in (line["rank_old"], line["rank_new"]))
    return "same" if before == after else "rank"


def _alone(table: pd.DataFrame, side: str) -> list[str]:
    """A sentence on the rows that only one of the runs has."""
    if table.empty:
        return []
    names = dict.fromkeys(
        f"{line['attack']} on {line['surrogate']}" if line["surrogate"] != "-" else line["attack"]
        for line in table.to_dict("records")
    )
    return [f"only in the {side} run, {len(table)} rows: {', '.join(names)}"]


def regressions(table: pd.DataFrame) -> pd.DataFrame:
    """Lines of `compared` with a significant loss, or that failed in the new run only."""
    return table[table["verdict"].isin(["less", "failed"])]


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


def _twins(before: Predictions, after: Predictions) -> IntArray:
    """For each image of one run its number in another; -1 for none."""
    left, right = (pd.MultiIndex.from_frame(own.images[["dataset", "image"]].astype(str))
                   for own in (before, after))  # fmt: skip
    return np.asarray(right.get_indexer(left))
