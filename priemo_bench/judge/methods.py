"""Which rows of the leaderboard a method pools, and its rate against one victim or defense."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from priemo_bench.contracts.columns import METHOD
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.judge.rates import PairWeights


class Rate(NamedTuple):
    """A protection rate, its 95 % interval (shares, NaN for none), and the images that count."""

    value: float
    low: float
    high: float
    images: int


def method_rows(tables: Tables) -> list[list[int]]:
    """For each line of `Tables.methods`, the numbers of the rows that it pools."""
    board = tables.board[tables.board["protection_rate"].notna()]
    board = board.assign(targeted=board["target"] != "-")
    by = [*METHOD, "targeted", "threat"]
    return [[int(row) for row in part.index] for _, part in board.groupby(by, sort=False)]


def rates_against(
    tables: Tables, rows: list[int], victims: Iterable[str | None], defenses: Iterable[str]
) -> dict[tuple[str | None, str], tuple[Rate, Rate]]:
    """Protection of pooled rows against one victim (None: all of them) under one defense.

    Args:
        victims, defenses: each of the former under each of the latter.

    Returns:
        By victim and defense, the rate over the victims that judge the rows, and over those that
        are no surrogates of theirs; nothing where neither has an image.
    """
    judging, transferring = tables.rates.judging(rows), tables.rates.transferring(rows)
    wanted = list(defenses)
    found = {}
    for victim in victims:
        pairs = [_of(judging, victim), _of(transferring, victim)]
        for defense in wanted:
            own = [_rate(tables, part, defense) for part in pairs]
            if any(rate.images for rate in own):
                found[victim, defense] = own[0], own[1]
    return found


def _of(pairs: PairWeights, victim: str | None) -> PairWeights:
    """Those of one victim, their weights 1 in all."""
    kept = {pair: weight for pair, weight in pairs.items() if victim in (None, pair[1])}
    total = sum(kept.values())
    return {pair: weight / total for pair, weight in kept.items()}


def _rate(tables: Tables, pairs: PairWeights, defense: str) -> Rate:
    rate = tables.rates.estimate(pairs, defense=defense) if pairs else None
    if rate is None or not rate.images:
        return Rate(float("nan"), float("nan"), float("nan"), 0)
    return Rate(rate.value, *rate.interval, round(rate.images))
