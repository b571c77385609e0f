"""Stored rows as arrays: what every victim predicts on the images of every leaderboard row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from priemo_bench.contracts.columns import ROW
from priemo_bench.contracts.draws import without_draw
from priemo_bench.contracts.filter_sets import SETS
from priemo_bench.contracts.metric import MEASURES
from priemo_bench.contracts.outcomes import FloatArray, IntArray, hit, protected
from priemo_bench.contracts.rows import Rows
from priemo_bench.errors import PriemoError

FINISHED = ("done", "incomplete")
"""Status of cells that have published images."""
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

    @classmethod
    def picked(cls, parts: Sequence[VictimPredictions]) -> VictimPredictions:
        """What a victim predicts whose owner picks, image by image, one of several defenses.

        An image counts where the victim classifies it correctly when clean under all of them, is
        protected where it does so under none once published, and hits a target only under all.

        Args:
            parts: its predictions under each, on the same images with the same seeds.
        """
        first = parts[0]
        label, clean = first.label, np.stack([own.clean for own in parts])
        prediction = np.stack([own.prediction for own in parts])
        return replace(
            first,
            clean=_first(clean, [clean == first.target, clean != label]),
            prediction=_first(prediction, [prediction == label, prediction != first.target]),
        )

    def outcome(self, kind: Outcome) -> FloatArray:
        """(s, n) 0 or 1 ("correct": (1, n)), NaN where an image does not count."""
        if kind == "protected":
            return self._protected
        if kind == "correct":
            return np.asarray(self.clean == self.label, float)[None]
        if kind == "flip":
            return np.asarray(self.prediction != self.clean, float)
        return hit(self.label, self.clean, self.prediction, self._targets)

    @cached_property
    def _protected(self) -> FloatArray:
        return protected(self.label, self.clean, self.prediction, self._targets)

    @property
    def _targets(self) -> IntArray:
        return np.full(len(self.label), self.target)

    def rate(self, kind: Outcome) -> float:
        """Mean outcome over seeds and images; NaN where no image counts."""
        outcome = self.outcome(kind)
        known = outcome[~np.isnan(outcome)]
        return float(known.mean()) if len(known) else float("nan")

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
    """The victims that a row's protection rate is the mean over, and their threat model.

    Attributes:
        lost: further victims that would be among them, had their predictions not failed.
    """

    threat: str
    victims: list[str]
    lost: list[str]


class Predictions:
    """All predictions of a run; leaderboard rows and images are numbered.

    Raises:
        PriemoError: on first use, where rows and cells do not belong together.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    @cached_property
    def _cells_by_key(self) -> dict[tuple[str, ...], list[dict[str, Any]]]:
        found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for cell in self.rows.facts["cells"]:
            found.setdefault(tuple(cell[name] for name in ROW), []).append(cell)
        return found

    @cached_property
    def keys(self) -> pd.DataFrame:
        """ROW of every row of the leaderboard, failed ones too, under its number."""
        return pd.DataFrame(list(self._cells_by_key), columns=ROW, dtype=object).astype(str)

    @cached_property
    def names(self) -> list[dict[str, str]]:
        """`keys` as dictionaries."""
        return [dict(zip(ROW, key, strict=True)) for key in self._cells_by_key]

    @cached_property
    def cells(self) -> list[list[dict[str, Any]]]:
        """The facts of the cells of every row, one for each seed."""
        return list(self._cells_by_key.values())

    def finished(self, row: int) -> list[dict[str, Any]]:
        """Those of its cells that have published images."""
        return [cell for cell in self.cells[row] if cell["status"] in FINISHED]

    @cached_property
    def images(self) -> pd.DataFrame:
        """Data set, image and person of every image of the run, under its number."""
        names = self.rows.frame[["dataset", "image", "person"]].drop_duplicates(
            ["dataset", "image"]
        )
        return names.astype(str).reset_index(drop=True)

    @cached_property
    def _image(self) -> IntArray:
        return _numbers(self.rows.frame, self.images, ["dataset", "image"])

    @cached_property
    def draws(self) -> dict[str, list[str]]:
        """By defense, the names under which `arrays` has its draws: one unless it is random."""
        found: dict[str, dict[str, None]] = {}
        for _, defense, _ in self.arrays:
            found.setdefault(without_draw(defense), {})[defense] = None
        return {defense: list(names) for defense, names in found.items()}

    @cached_property
    def arrays(self) -> dict[tuple[int, str, str], VictimPredictions]:
        """By row, defense (or name of a set of them: `VictimPredictions.picked`) and victim."""
        frame, image = self.rows.frame, self._image
        seed, label, clean, prediction, target = (
            frame[name].to_numpy()
            for name in ("seed", "label", "clean", "prediction", "target_label")
        )
        found = {}
        for key, at in self._lines.items():
            at = at[np.lexsort((image[at], seed[at]))]
            seeds = np.unique(seed[at])
            if len(at) % len(seeds):
                raise self._uneven(key)
            at = at.reshape(len(seeds), -1)
            first = at[0]
            numbers = image[first]
            if (image[at] != numbers).any() or (np.diff(numbers) < 1).any():
                raise self._uneven(key)
            found[key] = VictimPredictions(
                numbers, label[first], clean[first], seeds, prediction[at], int(target[first[0]])
            )
        return found | _under_sets(found)

    def _uneven(self, key: tuple[int, str, str]) -> PriemoError:
        row, defense, victim = key
        named = f"{self.names[row]['attack']!r} as {victim!r} sees them under {defense!r}"
        return self.rows.unusable(f"does not have each image once for each seed of {named}")

    @cached_property
    def _lines(self) -> dict[tuple[int, str, str], npt.NDArray[np.intp]]:
        row = _numbers(self.rows.frame, self.keys, ROW)
        if (row < 0).any():
            raise self.rows.unusable("has rows that belong to none of its cells")
        return _groups(self.rows.frame, row)

    @cached_property
    def _lines_of_row(self) -> dict[int, list[npt.NDArray[np.intp]]]:
        found: dict[int, list[npt.NDArray[np.intp]]] = {}
        for (row, _, _), lines in self._lines.items():
            found.setdefault(row, []).append(lines)
        return found

    @cached_property
    def _quality(self) -> dict[str, FloatArray]:
        names = [*MEASURES, *self.rows.further_metrics]
        return {name: self.rows.frame[name].to_numpy(float) for name in names}

    def published(self, row: int) -> dict[str, FloatArray]:
        """By metric, its value for each seed and published image of a row."""
        lines = self._lines_of_row.get(row, [])
        if not lines:
            at = np.empty(0, np.intp)
        elif all(cell["status"] == "done" for cell in self.cells[row]):
            at = lines[0]
        else:  # victims differ in the seeds they have
            at = np.concatenate(lines)
            both = np.stack([self.rows.frame["seed"].to_numpy()[at], self._image[at]])
            at = at[np.sort(np.unique(both, axis=1, return_index=True)[1])]
        return {name: values[at] for name, values in self._quality.items()}

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
        return self._all_clusters[self.names[row]["dataset"]]

    @cached_property
    def victims(self) -> dict[int, list[str]]:
        """Per row, the victims that have predictions for it; no row without any."""
        found: dict[int, list[str]] = {}
        for row, defense, victim in self.arrays:
            if defense == "none":
                found.setdefault(row, []).append(victim)
        return found

    def threat(self, row: int, victim: str) -> str:
        """ "white-box" for a surrogate of the row, else "transfer"; "no-model" without one."""
        surrogate = self.names[row]["surrogate"]
        if surrogate == "-":
            return "no-model"
        return "white-box" if victim in surrogate.split("+") else "transfer"

    def transfer_victims(self, row: int) -> list[str]:
        """The victims that are no surrogate of the row."""
        return [v for v in self.victims.get(row, []) if self.threat(row, v) != "white-box"]

    @cached_property
    def judges(self) -> dict[int, Judges]:
        """Per row: white-box victims, else all (no-model), unless its cell says transfer.

        A row whose judging victims are all lost has none: others never stand in for them.
        """
        found = {}
        for row, cells in enumerate(self.cells):
            there: dict[str, list[str]] = {}
            lost: dict[str, list[str]] = {}
            for victim in self.victims.get(row, []):
                there.setdefault(self.threat(row, victim), []).append(victim)
            for victim in _lost_victims(cells) - set(self.victims.get(row, [])):
                lost.setdefault(self.threat(row, victim), []).append(victim)
            said = cells[-1].get("threat")
            order = (said, "white-box", "no-model", "transfer")
            threat = next((t for t in order if t in there or t in lost), None)
            if threat is None:
                threat = said or self.threat(row, self.names[row]["surrogate"].split("+")[0])
            found[row] = Judges(threat, there.get(threat, []), sorted(lost.get(threat, [])))
        return found


def _first(values: IntArray, wanted: Sequence[npt.NDArray[np.bool_]]) -> IntArray:
    """Along the first axis, the first value that is wanted most: by `wanted[0]`, else the next."""
    found: IntArray = values[0]
    for mask in reversed(wanted):
        at = np.expand_dims(mask.argmax(0), 0)
        found = np.where(mask.any(0), np.take_along_axis(values, at, 0)[0], found)
    return found


def _under_sets(
    arrays: dict[tuple[int, str, str], VictimPredictions],
) -> dict[tuple[int, str, str], VictimPredictions]:
    """Under each of SETS, where a row and victim have all of its defenses with the same seeds."""
    found = {}
    for row, defense, victim in arrays:
        for name, members in SETS.items() if defense == "none" else ():
            parts = [arrays.get((row, member, victim)) for member in members]
            there = [own for own in parts if own is not None]
            if len(there) == len(parts) and len({own.seeds.tobytes() for own in there}) == 1:
                found[row, name, victim] = VictimPredictions.picked(there)
    return found


def _lost_victims(cells: Iterable[dict[str, Any]]) -> set[str]:
    """Victims whose predictions without a defense failed in some of these cells."""
    parts = [lost["part"] for cell in cells for lost in cell.get("lost", [])]
    split = [part.removeprefix("victim ").partition(" under ") for part in parts
             if part.startswith("victim ")]  # fmt: skip
    return {victim for victim, _, defense in split if defense in ("", "none")}


def _numbers(frame: pd.DataFrame, keys: pd.DataFrame, names: list[str]) -> npt.NDArray[np.intp]:
    """For each line of `frame` the number of its `names` in `keys`, -1 for none, from codes."""
    code = np.zeros(len(frame), np.int64)
    wanted = np.zeros(len(keys), np.int64)
    unknown = np.zeros(len(frame), bool)
    for name in names:
        categories = pd.Index(keys[name].unique())
        own = frame[name].astype("category").cat
        at = categories.get_indexer(own.categories.astype(str))[own.codes.to_numpy()]
        unknown |= at < 0
        code = code * len(categories) + at
        wanted = wanted * len(categories) + categories.get_indexer(keys[name])
    return np.where(unknown, -1, pd.Index(wanted).get_indexer(pd.Index(code)))


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
    for value, part in sorted(zip(values, parts, strict=True), key=lambda pair: pair[1][0]):
        rest, v = divmod(int(value), len(victim.categories))
        r, d = divmod(rest, len(defense.categories))
        found[r, str(defense.categories[d]), str(victim.categories[v])] = part
    return found
