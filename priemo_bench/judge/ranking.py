"""Who is better than whom: paired comparison of rows, and ranks that follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from priemo_bench.judge.rates import Judged, Rates
from priemo_bench.judge.statistics import Difference, Share, difference, holm

ALPHA = 0.05
USED = 0.95
"""Share of its budget that a gradient attack uses, or it is not ranked."""


def compare_rows(rates: Rates, a: Sequence[int], b: Sequence[int]) -> Difference:
    """The protection rate of pooled rows `a` less that of `b`, on what both have.

    That is the images of both and, where there are any, the victims that judge both; rows of
    different victims are compared as they stand.
    """
    shares = _on_common(rates, a, b)
    return difference(*shares)


def _on_common(rates: Rates, a: Sequence[int], b: Sequence[int]) -> tuple[Share, Share]:
    judged = [rates.judged(rows) for rows in (a, b)]
    victims = [{victim for _, victim in pairs} for pairs in judged]
    if common := victims[0] & victims[1]:
        judged = [only_victims(pairs, common) for pairs in judged]
    seen, other = (_images(rates, pairs) for pairs in judged)
    space = rates.space(a[0])
    if not np.array_equal(seen, other):
        space = space.only(np.intersect1d(seen, other))
    return rates.share(judged[0], space=space), rates.share(judged[1], space=space)


def only_victims(pairs: Judged, victims: Iterable[str]) -> Judged:
    """The pairs with these victims: the mean over rows of the mean over what is left of each."""
    kept = [pair for pair in pairs if pair[1] in victims]
    rows = [row for row, _ in kept]
    return {(row, victim): 1 / len(set(rows)) / rows.count(row) for row, victim in kept}


def _images(rates: Rates, pairs: Judged) -> np.ndarray:
    seen = [rates.columns[row, "none", victim].images for row, victim in pairs]
    return np.unique(np.concatenate(seen))


def ranks(
    rates: Rates, table: pd.DataFrame, rows: Sequence[Sequence[int]], by: list[str]
) -> pd.Series[int]:
    """Rank within `by` of the rows that may be ranked; those of one rank do not differ.

    Best first, a row joins the tie above it where it differs from none of its members by the
    paired test, with Holm's correction over all pairs of its group; else it opens a tie of its
    own, whose rank is its place.

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
    """Which rows have a rate, keep their budget, and use it.

    An attack that looks into classifiers and leaves more than 1 - USED of its budget is ranked
    only where the same attack with its budget used was tried and protects less.
    """
    kept = table["within_budget"].astype(bool) & table["protection_rate"].notna()
    return kept & ~left_unused(table)


def left_unused(table: pd.DataFrame) -> pd.Series[bool]:
    """Which rows leave some of their budget unused without having shown that more is worse."""
    model_free = table["threat"] == "no-model"
    idle = (table["budget_used"] < USED) & ~model_free
    same = [c for c in ("dataset", "budget", "attack", "scope", "surrogate", "target", "targeted")
            if c in table]  # fmt: skip
    for line in table.index[idle]:
        full = table[(table[same] == table.loc[line, same]).all(axis=1)]
        full = full[full["budget_used"] >= USED]
        if len(full) and (full["protection_rate"] < table.at[line, "protection_rate"]).all():
            idle[line] = False
    return idle.astype(bool)
