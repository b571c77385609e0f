"""Paired comparison of rows, and the ranks that follow from it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, cast

import numpy as np
import pandas as pd

from priemo_bench.contracts.budgets import EQUAL, EQUAL_PSNR
from priemo_bench.contracts.outcomes import IntArray
from priemo_bench.judge.difference import Difference, difference, holm
from priemo_bench.judge.levels import ALPHA, MIN_USED
from priemo_bench.judge.rates import PairWeights, Rates

Line = Mapping[str, Any]
"""A line of a table, by column."""


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The lines of a table, in order."""
    return cast("list[dict[str, Any]]", table.to_dict("records"))


def compare_rows(rates: Rates, a: Sequence[int], b: Sequence[int]) -> Difference:
    """The protection rate of pooled rows `a` less that of `b`, on the images of both.

    Where victims judge both, on these alone; rows of different victims are compared as they are.
    No difference is found between rows that would share victims, had these not been lost.
    """
    pairs_a, pairs_b = rates.judging(a), rates.judging(b)
    victims_a, victims_b = ({victim for _, victim in pairs} for pairs in (pairs_a, pairs_b))
    common = victims_a & victims_b
    if not common and (victims_a | _lost(rates, a)) & (victims_b | _lost(rates, b)):
        return Difference(float("nan"), float("nan"), float("nan"), 1.0)
    images_a, images_b = _images(rates, pairs_a), _images(rates, pairs_b)
    if victims_a == victims_b == common and np.array_equal(images_a, images_b):
        return difference(rates.judged(a), rates.judged(b))
    if common:
        pairs_a, pairs_b = only_victims(pairs_a, common), only_victims(pairs_b, common)
        images_a, images_b = _images(rates, pairs_a), _images(rates, pairs_b)
    clusters = rates.predictions.clusters(a[0])
    if not np.array_equal(images_a, images_b):
        clusters = clusters.restricted_to(np.intersect1d(images_a, images_b))
    of_a, of_b = (rates.estimate(pairs, clusters=clusters) for pairs in (pairs_a, pairs_b))
    return difference(of_a, of_b)


def only_victims(pairs: PairWeights, victims: Iterable[str]) -> PairWeights:
    """The pairs with these victims: the mean over rows of the mean over what is left of each."""
    kept = [pair for pair in pairs if pair[1] in victims]
    rows = [row for row, _ in kept]
    return {(row, victim): 1 / len(set(rows)) / rows.count(row) for row, victim in kept}


def _lost(rates: Rates, rows: Iterable[int]) -> set[str]:
    return {victim for row in rows for victim in rates.predictions.judges[row].lost}


def _images(rates: Rates, pairs: PairWeights) -> IntArray:
    arrays = rates.predictions.arrays
    numbers = {own.tobytes(): own for own in (arrays[r, "none", v].images for r, v in pairs)}
    if len(numbers) == 1:
        return next(iter(numbers.values()))
    return np.unique(np.concatenate([*numbers.values(), np.empty(0, int)]))


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
    lines = records(table)
    may = rankable(lines)
    groups: dict[Hashable, list[int]] = {}
    for k, line in enumerate(lines):
        if may[k]:
            groups.setdefault(tuple(line[name] for name in by), []).append(k)
    found: dict[int, int] = {}
    for group in groups.values():
        group.sort(key=lambda k: -lines[k]["protection_rate"])
        found |= _ranked(rates, group, rows)
    values = [found.get(k, pd.NA) for k in range(len(lines))]
    return pd.Series(values, index=table.index, dtype="Int64")


def _ranked(rates: Rates, group: list[int], rows: Sequence[Sequence[int]]) -> dict[int, int]:
    """The rank of each line of a group, best first."""
    pairs = list(combinations(group, 2))
    p = [compare_rows(rates, rows[a], rows[b]).p for a, b in pairs]
    differ = {pair for pair, q in zip(pairs, holm(p), strict=True) if q < ALPHA}
    found: dict[int, int] = {}
    tie: list[int] = []
    for place, line in enumerate(group):
        if any((other, line) in differ for other in tie):
            tie = []
        found[line] = place + 1 if not tie else found[tie[0]]
        tie.append(line)
    return found


def rankable(lines: Sequence[Line]) -> list[bool]:
    """Which lines have a rate, keep their budget, and use it (`left_unused`)."""
    return [
        bool(line["within_budget"]) and not np.isnan(line["protection_rate"]) and not idle
        for line, idle in zip(lines, left_unused(lines), strict=True)
    ]


def left_unused(lines: Sequence[Line]) -> list[bool]:
    """Which attacks with surrogates use less than MIN_USED of their budget.

    But for those that protect more so: the same attack, using its budget, protects less.
    """
    same = ("dataset", "budget", "attack", "scope", "surrogate", "target", "targeted")
    keys = [tuple(line.get(name) for name in same) for line in lines]
    full: dict[Hashable, list[float]] = {}
    for key, line in zip(keys, lines, strict=True):
        if line["budget_used"] >= MIN_USED:
            full.setdefault(key, []).append(line["protection_rate"])

    def idle(key: Hashable, line: Line) -> bool:
        if not line["budget_used"] < MIN_USED or line["threat"] == "no-model":
            return False
        users = full.get(key, [])
        return not users or not all(rate < line["protection_rate"] for rate in users)

    return [idle(key, line) for key, line in zip(keys, lines, strict=True)]


def other_ranks(table: pd.DataFrame) -> pd.Series[int]:
    """For each line its rank at equal PSNR, or at equal SSIM, the other; NA where it has none."""
    same = ["dataset", "attack", "scope", "scale", "targeted", "threat"]
    other = {EQUAL: EQUAL_PSNR, EQUAL_PSNR: EQUAL}
    lines = records(table)
    at = {(*(line[s] for s in same), line["budget"]): line["rank"] for line in lines}
    keys = [(*(line[s] for s in same), other.get(line["budget"])) for line in lines]
    return pd.Series([at.get(key, pd.NA) for key in keys], index=table.index, dtype="Int64")
