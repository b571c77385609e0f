"""Rates: of each victim, and of each row of the leaderboard.

A rate is averaged over seeds for each image, then over images for each victim, then over the
victims that judge a row: its surrogates among the victims (threat model "white-box"), the other
victims ("transfer"), or all victims for an attack without a surrogate ("no-model").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
import pandas as pd

from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.judge.kinship import COUNTED_RELATIONS, check_relations, relatives
from priemo_bench.judge.predictions import Clusters, Outcome, Predictions, VictimPredictions
from priemo_bench.judge.statistics import RateEstimate, mean, next_victim

ENOUGH = 20
"""Correctly classified faces that an emotion needs to count in the macro rate."""

PairWeights = dict[tuple[int, str], float]
"""Row and victim to their weight in a mean."""

NO_IMAGES = Clusters(np.empty(0, int), 1)
BY_VICTIM = [
    "row", "defense", "victim", "threat", "protected", "hit", "flip", "correct", "images", "n",
    "low", "high",
]  # fmt: skip


class Rates:
    """Rates of rows and victims, with intervals; each is computed once.

    Args:
        kin: the RELATIONS (`priemo_bench.contracts.card`) that make two victims kin.

    Raises:
        PriemoError: one that is unknown.
    """

    def __init__(self, predictions: Predictions, kin: Iterable[str] = COUNTED_RELATIONS) -> None:
        self.predictions = predictions
        self.kin = check_relations(kin)
        self._judged: dict[tuple[int, ...], RateEstimate] = {}

    def judged(self, rows: Iterable[int]) -> RateEstimate:
        """The protection rate of rows, pooled: the mean over `judging`."""
        key = tuple(rows)
        if key not in self._judged:
            self._judged[key] = self.estimate(self.judging(key))
        return self._judged[key]

    def judging(self, rows: Iterable[int]) -> PairWeights:
        """Rows and the victims that judge them: the mean over rows of the mean over victims."""
        return equal_weights({row: self.predictions.judges[row].victims for row in rows})

    def transferring(self, rows: Iterable[int]) -> PairWeights:
        """The same over the victims that are no surrogates."""
        return equal_weights({row: self.predictions.transfer_victims(row) for row in rows})

    def estimate(
        self,
        pairs: PairWeights,
        outcome: Outcome = "protected",
        defense: str = "none",
        clusters: Clusters | None = None,
        emotions: Iterable[int] | None = None,
    ) -> RateEstimate:
        """The weighted mean of the rates of rows and victims, and of a random defense's draws.

        Args:
            clusters: the images that count and their clusters; None for all of the data set.
            emotions: for the mean over these of the rates of their faces, instead of all faces.
        """
        if clusters is None:
            row = next((row for row, _ in pairs), None)
            clusters = NO_IMAGES if row is None else self.predictions.clusters(row)
        found = []
        groups = [None] if emotions is None else list(emotions)
        arrays = self.predictions.arrays
        draws = self.predictions.draws.get(defense, [defense])
        there = [
            (weight, arrays[row, draw, victim])
            for (row, victim), weight in pairs.items()
            for draw in draws
            if (row, draw, victim) in arrays
        ]
        unlike = len({own.seeds.tobytes() for _, own in there}) > 1
        for weight, own in there:
            outcomes, cluster = own.outcome(outcome), clusters.of_image[own.images]
            if unlike:
                outcomes = outcomes.mean(0, keepdims=True)
            for emotion in groups:
                kept = cluster >= 0
                if emotion is not None:
                    kept &= own.label == emotion
                found.append((outcomes[:, kept], cluster[kept], weight))
        return RateEstimate.of(found, clusters.count, len(groups))

    def spread(self, pairs: PairWeights, draws: Sequence[str]) -> float:
        """Standard deviation of the protection rate over draws of a defense; NaN for one."""
        if len(draws) < 2:
            return float("nan")
        arrays = self.predictions.arrays
        found = []
        for draw in draws:
            own = {pair: w for pair, w in pairs.items() if (pair[0], draw, pair[1]) in arrays}
            rates = [arrays[row, draw, victim].rate("protected") for row, victim in own]
            found.append(np.average(rates, weights=list(own.values())) if own else np.nan)
        return float(np.std(found, ddof=1))

    @cached_property
    def by_victim(self) -> pd.DataFrame:
        """Per row, defense (each draw) and victim: the mean of each Outcome, and the images, `n`.

        Without a defense also the interval of protected, low and high.
        """
        lines = []
        for (row, defense, victim), own in self.predictions.arrays.items():
            low, high = (
                self.estimate({(row, victim): 1.0}).interval if defense == "none" else (np.nan,) * 2
            )
            lines.append(
                {
                    "row": row, "defense": defense, "victim": victim,
                    "threat": self.predictions.threat(row, victim),
                    "protected": own.rate("protected"), "hit": own.rate("hit"),
                    "flip": own.rate("flip"), "correct": own.rate("correct"),
                    "images": len(own.images), "n": int(own.counted.sum()), "low": low,
                    "high": high,
                }
            )  # fmt: skip
        return pd.DataFrame(lines, columns=BY_VICTIM)

    @cached_property
    def undefended(self) -> pd.DataFrame:
        """`by_victim` without any defense."""
        return self.by_victim[self.by_victim["defense"] == "none"]

    def judgement(self, row: int) -> dict[str, object]:
        """The rate of a row over its judging victims, which it is ranked by."""
        rate = self.judged([row])
        counted = [own.images[own.counted] for own in self._own(row) if own.counted.any()]
        return {
            "threat": self.predictions.judges[row].threat,
            "n_victims": len(counted),
            "n": len(np.unique(np.concatenate(counted))) if counted else 0,
            "protection_rate": rate.value,
        }

    def numbers(self, row: int) -> dict[str, object]:
        """The other rates of a row, as in the leaderboard."""
        own = self._own(row)
        rate = self.judged([row])
        return {
            **_bounds("protection", rate),
            **self.macro([row]),
            **self.transfer([row]),
            **self._without_kin(row),
            "targeted_rate": mean(p.rate("hit") for p in own),
            "flip_rate": mean(p.rate("flip") for p in own),
            "clean_accuracy": mean(p.rate("correct") for p in own),
            "seed_spread": rate.by_seed.std(ddof=1) if len(rate.by_seed) > 1 else np.nan,
            **self._collapse(row),
        }

    def _own(self, row: int) -> list[VictimPredictions]:
        """What the victims that judge a row predict."""
        arrays = self.predictions.arrays
        return [arrays[row, "none", victim] for victim in self.predictions.judges[row].victims]

    def macro(self, rows: list[int]) -> dict[str, object]:
        """The mean over the emotions of which every victim correctly classifies ENOUGH faces."""
        kept = sorted(set.intersection(*(self._emotions(row) for row in rows)))
        rate = self.estimate(self.judging(rows) if kept else {}, emotions=kept)
        return {
            "macro_protection_rate": rate.value,
            **_bounds("macro", rate),
            "macro_left_out": " ".join(e for k, e in enumerate(EMOTIONS) if k not in kept),
        }

    def _emotions(self, row: int) -> set[int]:
        """One set for all victims, whether they judge the row or not."""
        victims = self.predictions.victims.get(row, [])
        if not victims:
            return set()
        own = [self.predictions.arrays[row, "none", v] for v in victims]
        counts = [np.bincount(p.label[p.counted], minlength=len(EMOTIONS)) for p in own]
        return {int(k) for k in np.flatnonzero(np.min(counts, 0) >= ENOUGH)}

    def transfer(self, rows: list[int]) -> dict[str, object]:
        """The rate over victims that are no surrogates, with intervals: these, and the next one.

        The interval of the next victim is never narrower than that of these.
        """
        pairs = self.transferring(rows)
        rate = self.estimate(pairs)
        by_victim: dict[str, list[tuple[float, float]]] = {}
        for row, victim in pairs:
            own = self.predictions.arrays[row, "none", victim]
            if own.counted.any():
                by_victim.setdefault(victim, []).append((own.rate("protected"), own.counted.sum()))
        means = [np.mean(own, 0) for own in by_victim.values()]
        low, high = next_victim([m[0] for m in means], [m[1] for m in means])
        bounds = _bounds("transfer", rate)
        return {
            "transfer_rate": rate.value,
            **bounds,
            "n_transfer": len(by_victim),
            "next_low": np.minimum(low, bounds["transfer_low"]),
            "next_high": np.maximum(high, bounds["transfer_high"]),
        }

    def _without_kin(self, row: int) -> dict[str, object]:
        """The transfer rate over victims that are no kin of the row's surrogates; their number.

        NaN where the relatives of a surrogate are not known; the rate also where all are kin.
        """
        names = self.predictions.names[row]["surrogate"]
        surrogates = [] if names == "-" else names.split("+")
        kinship = self.predictions.rows.facts.get("kin", {})
        if not set(surrogates) <= set(kinship):
            return {"transfer_without_kin": np.nan, "n_without_kin": np.nan}
        kin = relatives(kinship, surrogates, self.kin)
        strangers = [v for v in self.predictions.transfer_victims(row) if v not in kin]
        rate = self.estimate(equal_weights({row: strangers}))
        return {"transfer_without_kin": rate.value, "n_without_kin": len(strangers)}

    def _collapse(self, row: int) -> dict[str, object]:
        """The emotion that predictions collapse to, over seeds and judging victims, and how far."""
        frequencies = np.array(
            [
                np.bincount(prediction, minlength=len(EMOTIONS)) / len(prediction)
                for own in self._own(row)
                for prediction in own.prediction
            ]
        )
        if not len(frequencies):
            return {"collapse_class": np.nan, "collapse_share": np.nan}
        common = np.bincount(frequencies.argmax(1)).argmax()
        return {
            "collapse_class": EMOTIONS[int(common)],
            "collapse_share": frequencies.max(1).mean(),
        }


def _bounds(name: str, rate: RateEstimate) -> dict[str, float]:
    low, high = rate.interval
    return {f"{name}_low": low, f"{name}_high": high}


def equal_weights(victims: Mapping[int, list[str]]) -> PairWeights:
    rows = {row: names for row, names in victims.items() if names}
    return {
        (row, name): 1 / len(rows) / len(names) for row, names in rows.items() for name in names
    }
