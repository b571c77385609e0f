"""Stored rows as arrays: what every victim predicts on the images of every leaderboard row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from priemo_bench.contracts.outcomes import FloatArray, IntArray, hit, protected
from priemo_bench.contracts.rows import ROW, Rows

Outcome = Literal["protected", "hit", "flip", "correct"]
"""Protected and hit: `contracts.outcomes`. Flip: the prediction differs from the clean one.
Correct: the clean prediction is the label."""


@dataclass(frozen=True)
class VictimPredictions:
    """Predictions of one victim under one defense, on the images of one row.

    Attributes:
        images: (n,) numbers of the images, in increasing order; the same for every seed.
        label, clean: (n,). seeds: (s,). prediction: (s, n). target: of the row, -1 for none.
    """

    images: IntArray
    label: IntArray
    clean: IntArray
    seeds: IntArray
    prediction: IntArray
    target: int

    def outcome(self, kind: Outcome) -> FloatArray:
        """(s, n) 0 or 1 ("correct": (1, n)), NaN where an image does not count."""
        if kind == "correct":
            return np.asarray(self.clean == self.label, float)[None]
        if kind == "flip":
            return np.asarray(self.prediction != self.clean, float)
        target = np.full(len(self.label), self.target)
        outcome = protected if kind == "protected" else hit
        return outcome(self.label, self.clean, self.prediction, target)

    def rate(self, kind: Outcome) -> float:
        """Mean outcome over seeds and images; NaN where no image counts."""
        outcome = self.outcome(kind)
        return float(np.nanmean(outcome)) if not np.isnan(outcome).all() else float("nan")

    @property
    def counted(self) -> npt.NDArray[np.bool_]:
        """(n,) which images the protection rate counts."""
        counts: npt.NDArray[np.bool_] = ~np.isnan(self.outcome("protected")[0])
        return counts


@dataclass(frozen=True)
class Clusters:
    """Which images of a run count, and what clusters (persons) they are in.

    Attributes:
        of_image: (images of the run,) number of the cluster, -1 for an image that does not count.
        count: how many clusters there are.
    """

    of_image: IntArray
    count: int

    def restricted_to(self, images: IntArray) -> Clusters:
        """The same where only these images count."""
        kept = np.full_like(self.of_image, -1)
        kept[images] = self.of_image[images]
        return Clusters(kept, self.count)


class Judges(NamedTuple):
    """The victims that a row's protection rate is the mean over, and their threat model."""

    threat: str
    victims: list[str]


class Predictions:
    """All predictions of a run; leaderboard rows and images are numbered."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    @cached_property
    def keys(self) -> pd.DataFrame:
        """ROW of every row of the leaderboard, failed ones too, under its number."""
        return self.rows.cells[ROW].drop_duplicates().reset_index(drop=True)

    @cached_property
    def images(self) -> pd.DataFrame:
        """Data set, image and person of every image of the run, under its number."""
        names = self.rows.frame[["dataset", "image", "person"]].drop_duplicates(
            ["dataset", "image"]
        )
        return names.astype(str).reset_index(drop=True)

    @cached_property
    def arrays(self) -> dict[tuple[int, str, str], VictimPredictions]:
        """By row, defense and victim."""
        frame = self.rows.frame
        image = _numbers(frame, self.images, ["dataset", "image"])
        seed, label, clean, prediction, target = (
            frame[name].to_numpy()
            for name in ("seed", "label", "clean", "prediction", "target_label")
        )
        found = {}
        for key, at in self._lines.items():
            at = at[np.lexsort((image[at], seed[at]))]
            seeds = np.unique(seed[at])
            at = at.reshape(len(seeds), -1)
            first = at[0]
            found[key] = VictimPredictions(
                image[first], label[first], clean[first], seeds, prediction[at],
                int(target[first[0]]),
            )  # fmt: skip
        return found

    @cached_property
    def _lines(self) -> dict[tuple[int, str, str], npt.NDArray[np.intp]]:
        return _groups(self.rows.frame, _numbers(self.rows.frame, self.keys, ROW))

    def published(self, row: int) -> pd.DataFrame:
        """One line for each seed and published image of a row, with its quality."""
        return self.rows.frame.iloc[self._lines[row, "none", self.victims[row][0]]]

    @cached_property
    def _all_clusters(self) -> dict[str, Clusters]:
        found = {}
        for dataset, part in self.images.groupby("dataset"):
            codes, persons = pd.factorize(part["person"])
            of_image = np.full(len(self.images), -1)
            of_image[part.index] = codes
            found[str(dataset)] = Clusters(of_image, len(persons))
        return found

    def clusters(self, row: int) -> Clusters:
        """All images of the data set of a row, by person."""
        return self._all_clusters[str(self.keys.at[row, "dataset"])]

    @cached_property
    def victims(self) -> dict[int, list[str]]:
        """Per row, the victims that have predictions for it."""
        found: dict[int, list[str]] = {}
        for row, defense, victim in self.arrays:
            if defense == "none":
                found.setdefault(row, []).append(victim)
        return found

    def threat(self, row: int, victim: str) -> str:
        """ "white-box" for a surrogate of the row, else "transfer"; "no-model" without one."""
        surrogate = str(self.keys.at[row, "surrogate"])
        if surrogate == "-":
            return "no-model"
        return "white-box" if victim in surrogate.split("+") else "transfer"

    def transfer_victims(self, row: int) -> list[str]:
        """The victims that are no surrogate of the row."""
        return [v for v in self.victims[row] if self.threat(row, v) != "white-box"]

    @cached_property
    def judges(self) -> dict[int, Judges]:
        """Per row: white-box victims, else all (no-model), unless its cell says transfer."""
        cells = self.rows.cells
        said = cells["threat"].to_numpy() if "threat" in cells else np.full(len(cells), None)
        of_row = dict(zip(_numbers(cells, self.keys, ROW), said, strict=True))
        found = {}
        for row, victims in self.victims.items():
            by_threat: dict[str, list[str]] = {}
            for victim in victims:
                by_threat.setdefault(self.threat(row, victim), []).append(victim)
            order = (of_row.get(row), "white-box", "no-model", "transfer")
            threat = next(t for t in order if t in by_threat)
            found[row] = Judges(threat, by_threat[threat])
        return found


def _numbers(frame: pd.DataFrame, keys: pd.DataFrame, names: list[str]) -> npt.NDArray[np.intp]:
    """For each line of `frame` the number of its `names` in `keys`, from category codes."""
    code = np.zeros(len(frame), np.int64)
    wanted = np.zeros(len(keys), np.int64)
    for name in names:
        categories = pd.Index(keys[name].unique())
        own = frame[name].astype("category").cat
        at = categories.get_indexer(own.categories.astype(str))
        code = code * len(categories) + at[own.codes.to_numpy()]
        wanted = wanted * len(categories) + categories.get_indexer(keys[name])
    return pd.Index(wanted).get_indexer(pd.Index(code))


def _groups(
    frame: pd.DataFrame, row: npt.NDArray[np.intp]
) -> dict[tuple[int, str, str], npt.NDArray[np.intp]]:
    """Positions of the lines of each row, defense and victim, in the order they come in."""
    defense, victim = (frame[name].astype("category").cat for name in ("defense", "victim"))
    code = row * len(defense.categories) + defense.codes.to_numpy(np.int64)
    code = code * len(victim.categories) + victim.codes.to_numpy(np.int64)
    if not len(frame):
        return {}
    order = np.argsort(code, kind="stable")
    values, starts = np.unique(code[order], return_index=True)
    parts = np.split(order, starts[1:])
    found = {}
    for _, part in sorted(zip(values, parts, strict=True), key=lambda pair: pair[1][0]):
        at = part[0]
        key = int(row[at]), str(frame["defense"].iat[at]), str(frame["victim"].iat[at])
        found[key] = part
    return found
