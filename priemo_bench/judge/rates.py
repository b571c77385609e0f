"""Rates from rows: of each victim, and of each row of the leaderboard, with what they are made of.

Rates are first averaged over seeds for each image, then over images for each victim, then over the
victims a row is judged by: its surrogates among the victims (threat "white-box"), those it does not
look into ("transfer"), or all victims for an attack without a surrogate ("no-model").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.outcomes import hit, protected
from priemo_bench.contracts.rows import ROW, Rows
from priemo_bench.judge.kinship import COUNTED_RELATIONS, check_kinds, relatives
from priemo_bench.judge.statistics import Share, next_recogniser

ENOUGH = 20
"""Correctly read faces an emotion needs to have a say in the macro rate."""

Array = npt.NDArray[Any]
Outcome = Literal["protected", "hit", "flip", "correct"]
Judged = dict[tuple[int, str], float]
"""Row and victim to their weight in a mean."""


@dataclass(frozen=True)
class Column:
    """What one victim reads in the images of one row, under one defense.

    Attributes:
        images: (n,) numbers of the images, in increasing order; the same for every seed.
        label, clean: (n,); seeds: (s,); prediction: (s, n); target: of the row, or -1.
    """

    images: Array
    label: Array
    clean: Array
    seeds: Array
    prediction: Array
    target: int

    def outcome(self, what: Outcome) -> Array:
        """(s, n) outcomes, NaN where an image does not count."""
        if what == "correct":
            return (self.clean == self.label).astype(float)[None]
        if what == "flip":
            return (self.prediction != self.clean).astype(float)
        target = np.full(len(self.label), self.target)
        kind = protected if what == "protected" else hit
        return kind(self.label, self.clean, self.prediction, target)


@dataclass(frozen=True)
class Space:
    """Which images count, and what clusters they are in.

    Attributes:
        cluster: (images of the run,) number of the cluster, -1 for an image that does not count.
        clusters: how many there are.
    """

    cluster: Array
    clusters: int

    def only(self, images: Array) -> Space:
        """The same for some images alone."""
        kept = np.full_like(self.cluster, -1)
        kept[images] = self.cluster[images]
        return Space(kept, self.clusters)


class Rates:
    """What the tables are made of; everything is computed once, from the rows alone.

    Args:
        kin: kinds of `priemo_bench.contracts.card.RELATIONS` in which victims count as kin.
    """

    def __init__(self, rows: Rows, kin: Iterable[str] = COUNTED_RELATIONS) -> None:
        self.rows = rows
        self.kin = check_kinds(kin)

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
    def spaces(self) -> dict[str, Space]:
        """Of every data set, all its images in their persons."""
        found = {}
        for dataset, part in self.images.groupby("dataset"):
            codes, persons = pd.factorize(part["person"])
            cluster = np.full(len(self.images), -1)
            cluster[part.index] = codes
            found[str(dataset)] = Space(cluster, len(persons))
        return found

    def space(self, row: int) -> Space:
        """Of the data set of a row."""
        return self.spaces[str(self.keys.at[row, "dataset"])]

    @cached_property
    def columns(self) -> dict[tuple[int, str, str], Column]:
        """By row, defense and victim."""
        frame = self.rows.frame
        image = _numbers(frame, self.images, ["dataset", "image"])
        seed, label, clean, read, target = (
            frame[name].to_numpy()
            for name in ("seed", "label", "clean", "prediction", "target_label")
        )
        found = {}
        for key, at in self._lines.items():
            at = at[np.lexsort((image[at], seed[at]))]
            seeds = np.unique(seed[at])
            at = at.reshape(len(seeds), -1)
            found[key] = Column(
                image[at[0]], label[at[0]], clean[at[0]], seeds, read[at], int(target[at[0, 0]])
            )
        return found

    @cached_property
    def _lines(self) -> dict[tuple[int, str, str], Array]:
        return _groups(self.rows.frame, _numbers(self.rows.frame, self.keys, ROW))

    def published(self, row: int) -> pd.DataFrame:
        """One line for each protected image of a row and seed, for what was lost of it."""
        return self.rows.frame.iloc[self._lines[row, "none", self.victims[row][0]]]

    @cached_property
    def victims(self) -> dict[int, list[str]]:
        """Per row, the victims that read it."""
        found: dict[int, list[str]] = {}
        for row, defense, victim in self.columns:
            if defense == "none":
                found.setdefault(row, []).append(victim)
        return found

    @cached_property
    def judges(self) -> dict[int, tuple[str, list[str]]]:
        """Per row: its threat, and the victims its protection rate is the mean over."""
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
            found[row] = threat, by_threat[threat]
        return found

    def threat(self, row: int, victim: str) -> str:
        """What a row is to a victim."""
        surrogate = str(self.keys.at[row, "surrogate"])
        if surrogate == "-":
            return "no-model"
        return "white-box" if victim in surrogate.split("+") else "transfer"

    def judged(self, rows: Iterable[int]) -> Judged:
        """Row and judging victim to weight: the mean over rows of the mean over victims."""
        return _weighted({row: self.judges[row][1] for row in rows})

    def unseen(self, rows: Iterable[int]) -> Judged:
        """The same over victims that are no surrogates."""
        return _weighted({row: self._unseen(row) for row in rows})

    def _unseen(self, row: int) -> list[str]:
        return [v for v in self.victims[row] if self.threat(row, v) != "white-box"]

    def share(
        self,
        pairs: Judged,
        what: Outcome = "protected",
        defense: str = "none",
        space: Space | None = None,
        emotions: Iterable[int] | None = None,
    ) -> Share:
        """The weighted mean of the rates of rows and victims.

        Args:
            space: the images that count and their clusters; None for all of the data set.
            emotions: for the mean over these of the rates of their faces, instead of all faces.
        """
        if space is None:
            first = next(iter(pairs), None)
            space = self.space(first[0]) if first else Space(np.array([]), 1)
        found = []
        groups = [None] if emotions is None else list(emotions)
        for (row, victim), weight in pairs.items():
            column = self.columns.get((row, defense, victim))
            if column is None:
                continue
            outcome, cluster = column.outcome(what), space.cluster[column.images]
            for emotion in groups:
                kept = cluster >= 0
                if emotion is not None:
                    kept &= column.label == emotion
                found.append((outcome[:, kept], cluster[kept], weight))
        return Share.of(found, space.clusters, len(groups))

    @cached_property
    def by_victim(self) -> pd.DataFrame:
        """Per row, defense and victim: protected, hit, flip, correct (clean), n; undefended the
        interval of protected too, low and high."""
        lines = []
        for row, defense, victim in self.columns:
            own = self.share({(row, victim): 1.0}, "protected", defense)
            others = {
                what: self._rate(row, defense, victim, what) for what in ("hit", "flip", "correct")
            }
            low, high = own.interval if defense == "none" else (np.nan, np.nan)
            lines.append(
                {
                    "row": row, "defense": defense, "victim": victim,
                    "threat": self.threat(row, victim), "protected": own.value, **others,
                    "images": len(self.columns[row, defense, victim].images),
                    "n": int(own.count.sum()), "low": low, "high": high,
                }
            )  # fmt: skip
        names = ["row", "defense", "victim", "threat", "protected", "hit", "flip", "correct",
                 "images", "n", "low", "high"]  # fmt: skip
        return pd.DataFrame(lines, columns=names)

    def _rate(self, row: int, defense: str, victim: str, what: Outcome) -> float:
        outcome = self.columns[row, defense, victim].outcome(what)
        return float(np.nanmean(outcome)) if not np.isnan(outcome).all() else float("nan")

    @cached_property
    def undefended(self) -> pd.DataFrame:
        """`by_victim` without any defense."""
        return self.by_victim[self.by_victim["defense"] == "none"]

    def numbers(self, row: int) -> dict[str, Any]:
        """The rates of a row."""
        threat, victims = self.judges[row]
        pairs = self.judged([row])
        own = self.undefended[self.undefended["row"] == row].set_index("victim").loc[victims]
        rate = self.share(pairs)
        return {
            "threat": threat,
            "n_victims": len(victims),
            "n": len(np.unique(np.concatenate([self._counted(row, v) for v in victims]))),
            "protection_rate": rate.value,
            **_bounds("protection", rate),
            **self.macro([row]),
            **self.transfer([row]),
            **self.without_kin(row),
            "targeted_rate": own["hit"].mean(),
            "flip_rate": own["flip"].mean(),
            "clean_accuracy": own["correct"].mean(),
            "seed_spread": rate.by_seed.std(ddof=1) if len(rate.by_seed) > 1 else np.nan,
            **self._collapse(row),
        }

    def _counted(self, row: int, victim: str) -> Array:
        column = self.columns[row, "none", victim]
        counted: Array = column.images[~np.isnan(column.outcome("protected")[0])]
        return counted

    def macro(self, rows: list[int]) -> dict[str, Any]:
        """The mean over emotions, of those that every victim reads correctly in enough faces."""
        sets = [set(self._emotions(row)) for row in rows]
        kept = sorted(set.intersection(*sets))
        rate = self.share(self.judged(rows), emotions=kept) if kept else None
        value, (low, high) = (rate.value, rate.interval) if rate else (np.nan, (np.nan, np.nan))
        left_out = [name for k, name in enumerate(EMOTIONS) if k not in kept]
        return {
            "macro_protection_rate": value, "macro_low": low, "macro_high": high,
            "macro_left_out": " ".join(left_out),
        }  # fmt: skip

    def _emotions(self, row: int) -> list[int]:
        """One set for all victims, whether they judge the row or not."""
        counts = [
            np.bincount(column.label[~np.isnan(column.outcome("protected")[0])], minlength=7)
            for column in (self.columns[row, "none", victim] for victim in self.victims[row])
        ]
        return [int(k) for k in np.flatnonzero(np.min(counts, 0) >= ENOUGH)]

    def transfer(self, rows: list[int]) -> dict[str, Any]:
        """The rate over victims that are no surrogates: these victims, and the next one.

        What is said of the next is never narrower than what is said of these.
        """
        pairs = self.unseen(rows)
        rate = self.share(pairs)
        by_victim: dict[str, list[tuple[float, float]]] = {}
        for row, victim in pairs:
            own = self._rate(row, "none", victim, "protected")
            by_victim.setdefault(victim, []).append((own, len(self._counted(row, victim))))
        means = [np.mean(own, 0) for own in by_victim.values()]
        low, high = next_recogniser([m[0] for m in means], [m[1] for m in means])
        bounds = _bounds("transfer", rate)
        return {
            "transfer_rate": rate.value, **bounds, "n_transfer": len(by_victim),
            "next_low": np.minimum(low, bounds["transfer_low"]),
            "next_high": np.maximum(high, bounds["transfer_high"]),
        }  # fmt: skip

    def without_kin(self, row: int) -> dict[str, Any]:
        """The transfer rate over victims that are no kin of the row's surrogates; their number.

        NaN where nothing is known of kin, or everyone is kin.
        """
        names = str(self.keys.at[row, "surrogate"])
        surrogates = [] if names == "-" else names.split("+")
        kinship = self.rows.facts.get("kin", {})
        if not set(surrogates) <= set(kinship):
            return {"transfer_without_kin": np.nan, "n_without_kin": np.nan}
        kin = relatives(kinship, surrogates, self.kin)
        strangers = [victim for victim in self._unseen(row) if victim not in kin]
        rate = self.share(_weighted({row: strangers}))
        return {"transfer_without_kin": rate.value, "n_without_kin": len(strangers)}

    def _collapse(self, row: int) -> dict[str, Any]:
        """Where predictions collapse to, over seeds and judging victims."""
        counts = np.array(
            [
                np.bincount(read, minlength=len(EMOTIONS)) / len(read)
                for victim in self.judges[row][1]
                for read in self.columns[row, "none", victim].prediction
            ]
        )
        common = np.bincount(counts.argmax(1)).argmax()
        return {"collapse_class": EMOTIONS[int(common)], "collapse_share": counts.max(1).mean()}


def _bounds(name: str, rate: Share) -> dict[str, float]:
    low, high = rate.interval
    return {f"{name}_low": low, f"{name}_high": high}


def _weighted(victims: Mapping[int, list[str]]) -> Judged:
    rows = {row: names for row, names in victims.items() if names}
    return {
        (row, name): 1 / len(rows) / len(names) for row, names in rows.items() for name in names
    }


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


def _groups(frame: pd.DataFrame, row: Array) -> dict[tuple[int, str, str], Array]:
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
