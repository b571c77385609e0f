"""The share of images on which all victims of a row are fooled at once, by the same image."""

from __future__ import annotations

import pandas as pd

from priemo_bench.judge.columns import TOGETHER
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.judge.predictions import VictimPredictions
from priemo_bench.judge.statistics import RateEstimate


def together(tables: Tables) -> pd.DataFrame:
    """A line per row of the leaderboard that several victims judge.

    `together` is the share of images that all of them lose, of the `n_together` that all of them
    classify correctly when clean; with its 95 % interval. Beside it `protection_rate`, the mean of
    their rates.
    """
    predictions, lines = tables.predictions, []
    for row, (threat, victims, _) in predictions.judges.items():
        parts = [predictions.arrays[row, "none", victim] for victim in victims]
        if len({(own.seeds.tobytes(), own.images.tobytes()) for own in parts}) != 1:
            continue  # none at all, or one that lacks a seed
        if len(parts) < 2:
            continue
        own = VictimPredictions.picked(parts)
        clusters = predictions.clusters(row)
        outcomes = own.outcome("protected")
        rate = RateEstimate.of([(outcomes, clusters.of_image[own.images], 1.0)], clusters.count)
        low, high = rate.interval
        lines.append(
            {
                **predictions.names[row], "threat": threat, "n_victims": len(victims),
                "together": rate.value, "together_low": low, "together_high": high,
                "n_together": int(own.counted.sum()),
                "protection_rate": tables.rates.judged([row]).value,
            }
        )  # fmt: skip
    return pd.DataFrame(lines, columns=TOGETHER)
