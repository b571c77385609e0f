"""Paired comparison of rows, and the ranks that follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from priemo_bench.contracts.outcomes import IntArray
from priemo_bench.judge.difference import Difference, difference, holm
from priemo_bench.judge.rates import PairWeights, Rates
from priemo_bench.judge.statistics import RateEstimate

ALPHA = 0.05
MIN_USED = 0.95
"""A gradient attack that uses less of its budget is not ranked."""
EQUAL_BUDGETS = ("equal", "equal-psnr")
"""Budgets under which attacks are compared."""


def compare_rows(rates: Rates, a: Sequence[int], b: Sequence[int]) -> Difference:
    """The protection rate of pooled rows `a` less that of `b`, on the images of both.

    Where victims judge both, on these alone; rows of different victims are compared as they are.
    """
    return difference(*_on_common(rates, a, b))


def _on_common(
    rates: Rates, a: Sequence[int], b: Sequence[int]
) -> tuple[RateEstimate, RateEstimate]:
    pairs_a, pairs_b = rates.judging(a), rates.judging(b)
    if common := {victim for _, victim in pairs_a} & {victim for _, victim in pairs_b}:
        pairs_a, pairs_b = only_victims(pairs_a, common), only_victims(pairs_b, common)
    images_a, images_b = _images(rates, pairs_a), _images(rates, pairs_b)
    clusters = rates.predictions.clusters(a[0])
    if not np.array_equal(images_a, images_b):
        clusters = clusters.restricted_to(np.intersect1d(images_a, images_b))
    return rates.estimate(pairs_a, clusters=clusters), rates.estimate(pairs_b, clusters=clusters)


def only_victims(pairs: PairWeights, victims: Iterable[str]) -> PairWeights:
    """The pairs with these victims: the mean over rows of the mean over what is left of each."""
    kept = [pair for pair in pairs if pair[1] in victims]
    rows = [row for row, _ in kept]
    return {(row, victim): 1 / len(set(rows)) / rows.count(row) for row, victim in kept}


def _images(rates: Rates, pairs: PairWeights) -> IntArray:
    numbers = [rates.predictions.arrays[row, "none", victim].images for row, victim in pairs]
    return np.unique(np.concatenate(numbers))


def ranks(
    rates: Rates, table: pd.DataFrame, rows: Sequence[Sequence[int]], by: list[str]
) -> pd.Series[int]:
    """Rank within `by` of the lines that may be ranked, NA for others.

    Best first, a line joins the tie above it where it differs from none of its members by the
    paired test, with Holm's correction over all pairs of its group; else it opens a tie of its
    own, whose rank is its place. So no two lines of one rank differ.

    Args:
        rows: for each line of `table` the rows it pools.
    """
    found = pd.Series(pd.NA, index=table.index, dtype="Int64")
    pooled = dict(zip(table.index, rows, strict=True))
    for _, group in table[rankable(table)].groupby(by):
        order = group.sort_values("protection_rate", ascending=False, kind="stable").index
        pairs = list(combinations(order, 2))
        p = [compare_rows(rates, pooled[a], pooled[b]).p for a, b in pairs]
        differ = {pair for pair, q in zip(pairs, holm(p), strict=True) if q < ALPHA}
        tie: list[int] = []
        for place, line in enumerate(order):
            if any((other, line) in differ for other in tie):
                tie = []
            rank = place + 1 if not tie else int(found[tie[0]])
            tie.append(line)
            found[line] = rank
    return found


def rankable(table: pd.DataFrame) -> pd.Series[bool]:
    """Which lines have a rate, keep their budget, and use it (`left_unused`)."""
    kept = table["within_budget"].astype(bool) & table["protection_rate"].notna()
    return kept & ~left_unused(table)


def left_unused(table: pd.DataFrame) -> pd.Series[bool]:
    """Which attacks with surrogates use less than MIN_USED of their budget.

    But for those that protect more so: the same attack, using its budget, protects less.
    """
    idle = (table["budget_used"] < MIN_USED) & (table["threat"] != "no-model")
    same = [c for c in ("dataset", "budget", "attack", "scope", "surrogate", "target", "targeted")
            if c in table]  # fmt: skip
    for line in table.index[idle]:
        full = table[(table[same] == table.loc[line, same]).all(axis=1)]
        full = full[full["budget_used"] >= MIN_USED]
        if len(full) and (full["protection_rate"] < table.at[line, "protection_rate"]).all():
            idle[line] = False
    return idle.astype(bool)


def other_ranks(table: pd.DataFrame) -> pd.Series[int]:
    """For each line its rank under the other of EQUAL_BUDGETS; NA where it has none."""
    same = ["dataset", "attack", "scope", "scale", "targeted", "threat"]
    at = {(*line[same], line["budget"]): line["rank"] for _, line in table.iterrows()}
    other = dict(zip(EQUAL_BUDGETS, reversed(EQUAL_BUDGETS), strict=True))
    keys = [(*line[same], other.get(line["budget"])) for _, line in table.iterrows()]
    return pd.Series([at.get(key, pd.NA) for key in keys], index=table.index, dtype="Int64")
