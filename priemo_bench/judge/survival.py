"""Survival: what is left of protection where a victim may filter the images it is given."""

from __future__ import annotations

import numpy as np

from priemo_bench.contracts.filter_sets import SETS
from priemo_bench.judge.columns import SURVIVAL
from priemo_bench.judge.rates import PairWeights, Rates, equal_weights
from priemo_bench.judge.statistics import mean


def survival(rates: Rates, rows: list[int]) -> dict[str, object]:
    """Survival of rows, pooled, under the newest of SETS that their judging victims have whole.

    A row without all filters of a set is left out, and so is a victim that was shown no filtered
    image, as a black box that was asked elsewhere.

    Returns:
        survival: the share of images protected under every filter of the set, of the n_survival
            images (mean over victims) that a victim classifies correctly when clean under every
            one; with its 95 % interval.
        worst_defense, worst_filter: the lowest protection rate under one of the filters, each over
            the images classified correctly under it, and which filter that is.
        filter_set: name of the set. filter_cost: the accuracy on clean faces that a victim gives
            up who must classify them correctly under every filter.
        NaN, and "" for names, where no row has a whole set.
    """
    for name in reversed(SETS):
        pairs = _under(rates, rows, name)
        if pairs:
            return _survival(rates, pairs, name)
    return dict.fromkeys(SURVIVAL, np.nan) | {"worst_filter": "", "filter_set": ""}


def _under(rates: Rates, rows: list[int], name: str) -> PairWeights:
    arrays, judges = rates.predictions.arrays, rates.predictions.judges
    filtered = {
        row: [v for v in judges[row].victims if any((row, d, v) in arrays for d in SETS[name])]
        for row in rows
    }
    return equal_weights(
        {row: own for row, own in filtered.items() if all((row, name, v) in arrays for v in own)}
    )


def _survival(rates: Rates, pairs: PairWeights, name: str) -> dict[str, object]:
    arrays = rates.predictions.arrays
    rate = rates.estimate(pairs, defense=name)
    low, high = rate.interval
    alone = {defense: rates.estimate(pairs, defense=defense).value for defense in SETS[name]}
    known = {defense: value for defense, value in alone.items() if np.isfinite(value)}
    worst = min(known, key=known.__getitem__, default="")
    accuracy = [
        mean(arrays[row, defense, victim].rate("correct") for row, victim in pairs)
        for defense in ("none", name)
    ]
    return {
        "survival": rate.value, "survival_low": low, "survival_high": high,
        "n_survival": round(rate.images), "worst_defense": known.get(worst, np.nan),
        "worst_filter": worst, "filter_set": name, "filter_cost": accuracy[0] - accuracy[1],
    }  # fmt: skip
