"""A stranger's result as one file: who, which benchmark, what it says, and the readings behind it.

The file is JSON, so that a reviewer can read it and a program check it; its schema is
`submission.schema.json`. The readings in it are all that `priemo_bench.judge` needs: every rate and
interval of the table is computed from them again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field, ValidationError, model_validator

from priemo_bench.contracts.columns import ROW
from priemo_bench.contracts.config import StrictModel, first_error
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.metric import MEASURES
from priemo_bench.contracts.rows import Rows
from priemo_bench.contracts.storage import write_text
from priemo_bench.errors import PriemoError
from priemo_bench.published.benchmarks import Sha256, benchmark

FORMAT = 1
SCHEMA = "submission.schema.json"
LARGEST = 8 * 2**20
"""Bytes that such a file may have."""

Text = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]+$")]
Name = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9.-]{1,63}$")]
Link = Annotated[str, Field(pattern=r"^https://[^\s<>\"']{4,300}$")]
Digits = Annotated[str, Field(pattern="^[0-6]+$")]
"""An emotion for each picture, as its index."""
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Measure = Literal["ssim", "ssim_full", "psnr", "linf"]


class Pictures(StrictModel):
    """The pictures, in the order of all texts and lists below.

    Attributes:
        ids: of the data set. persons: numbers, alike for one person. pixels: the first 8 digits of
            the SHA-256 of each. labels: the true emotions.
    """

    ids: tuple[Text, ...]
    persons: tuple[int, ...]
    pixels: tuple[Annotated[str, Field(pattern="^[0-9a-f]{8}$")], ...]
    labels: Digits


class Reading(StrictModel):
    """What a victim predicts under a defense: of the originals, and of what each seed published."""

    victim: Text
    defense: Text
    clean: Digits
    published: tuple[Digits, ...]


class Entry(StrictModel):
    """One row: an attack on surrogates under a budget, and every reading of it.

    Attributes:
        measures: by name the values of each seed, and of each picture; null is infinite, linf
            is in grey levels of 255.
        costs: what it took, as `leaderboard.csv` has it.
    """

    budget: Text
    attack: Text
    family: Text
    scope: Text
    scale: Text
    surrogate: Text
    target: Text
    threat: Literal["white-box", "transfer", "no-model"]
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**32)], ...]
    measures: dict[
        Literal["ssim", "ssim_full", "psnr", "linf"], tuple[tuple[float | None, ...], ...]
    ]
    costs: dict[Text, Seconds]
    readings: tuple[Reading, ...]


class Line(StrictModel):
    """What is said of a method: shares from 0 to 1 with their 95 % intervals; null is unknown."""

    budget: Text
    attack: Text
    scope: Text
    scale: Text
    targeted: bool
    threat: Text
    n: Annotated[int, Field(ge=0)]
    seeds: Annotated[int, Field(ge=1)]
    within_budget: bool
    protection_rate: Share | None
    protection_low: Share | None
    protection_high: Share | None
    transfer_rate: Share | None
    transfer_low: Share | None
    transfer_high: Share | None
    survival: Share | None
    survival_low: Share | None
    survival_high: Share | None
    ssim: Annotated[float, Field(ge=-1, le=1)]
    psnr: float | None


class Submission(StrictModel):
    """A result for a benchmark.

    Attributes:
        format: of the file. name: of the entry and the file. link: to code or a paper.
        benchmark: its name with its version.
        reevaluates: "" for an own entry; for an evaluation of another one, its name as
            `load_results` has it: a lower rate then stands beside that entry.
        environment: versions, machine and digests of the code. spec, command: what was run.
        victims: SHA-256 of the weights of those that are not of the benchmark.
        methods: what is said. entries: what was read.
    """

    format: Literal[1] = 1
    name: Name
    authors: Annotated[tuple[Text, ...], Field(min_length=1, max_length=50)]
    link: Link
    date: date
    benchmark: Text
    reevaluates: Annotated[str, Field(max_length=200)] = ""
    command: Annotated[str, Field(max_length=4000)]
    spec: Annotated[str, Field(max_length=40000)]
    environment: dict[Text, Any]
    victims: dict[Text, Sha256] = {}
    methods: Annotated[tuple[Line, ...], Field(min_length=1)]
    pictures: Pictures
    entries: Annotated[tuple[Entry, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _counts_add_up(self) -> Submission:
        n = len(self.pictures.ids)
        lists = (self.pictures.persons, self.pictures.pixels, self.pictures.labels)
        if len(set(self.pictures.ids)) < n or any(len(own) != n for own in lists):
            raise PriemoError(f"pictures do not have {n} ids, persons, pixels and labels alike")
        for entry in self.entries:
            seeds, named = len(entry.seeds), f"{entry.attack} on {entry.surrogate}"
            if not seeds or len(set(entry.seeds)) < seeds:
                raise PriemoError(f"{named} has no seeds, or one twice")
            if set(entry.measures) != set(MEASURES):
                raise PriemoError(f"{named} has not the measures {', '.join(MEASURES)}")
            if any(_shape(own) != {(seeds, n)} for own in entry.measures.values()):
                raise PriemoError(f"{named} has not a measure for each of {seeds} x {n} pictures")
            for own in entry.readings:
                if len(own.clean) != n or _shape(own.published) != {(seeds, n)}:
                    raise PriemoError(
                        f"{named} as {own.victim} reads it has not {seeds} x {n} readings"
                    )
            pairs = [(own.victim, own.defense) for own in entry.readings]
            if not pairs or len(set(pairs)) < len(pairs):
                raise PriemoError(f"{named} has no reading, or one twice")
        return self

    def rows(self) -> Rows:
        """The rows behind it, as of a run: all tables follow from them."""
        found = benchmark(self.benchmark)
        frames = [_frame(self.pictures, entry, found.data.name) for entry in self.entries]
        texts = ("attack", "family", "scope", "scale", "surrogate", "target")
        cells = [
            {
                "dataset": found.data.name, "budget": e.budget, "seed": seed, "status": "done",
                "threat": e.threat, **{name: getattr(e, name) for name in texts}, **e.costs,
            }
            for e in self.entries
            for seed in e.seeds
        ]  # fmt: skip
        weights = {name: {"sha256": own} for name, own in (found.victims | self.victims).items()}
        facts = {
            "cells": cells,
            **found.bounds()["equal"]._asdict(),
            "budgets": {name: own._asdict() for name, own in found.bounds().items()},
            "data": {found.data.name: {"pictures": self._digests()}},
            "victims": {name: own for name, own in weights.items() if name in self.readers},
        }
        return Rows(pd.concat(frames, ignore_index=True), facts, f"{self.name}.json")

    @property
    def readers(self) -> set[str]:
        """The victims that read something of it."""
        return {own.victim for entry in self.entries for own in entry.readings}

    def _digests(self) -> dict[str, str]:
        return dict(zip(self.pictures.ids, self.pictures.pixels, strict=True))

    def write(self, path: Path) -> None:
        """Write it as JSON, a method and an entry a line; StorageError where it cannot be."""
        lines = []
        for key, value in self.model_dump(mode="json").items():
            text = json.dumps(value, ensure_ascii=False)
            if isinstance(value, list) and value and isinstance(value[0], dict):
                items = ",\n ".join(json.dumps(item, ensure_ascii=False) for item in value)
                text = f"[\n {items}\n]"
            lines.append(f'"{key}": {text}')
        write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")

    @classmethod
    def read(cls, path: Path) -> Submission:
        """Read such a file; only its shape is checked.

        Raises:
            PriemoError: it is missing, too large, not JSON, or of another shape.
        """
        try:
            if path.stat().st_size > LARGEST:
                raise PriemoError(f"{path} has more than {LARGEST / 2**20:.0f} MB")
            text = path.read_text("utf-8")
            return cls.model_validate(json.loads(text, parse_constant=_no_constant))
        except (OSError, UnicodeDecodeError) as error:
            raise PriemoError(f"{path} cannot be read: {error}") from None
        except ValidationError as error:
            raise PriemoError(f"{path}, {first_error(error, cls)}") from None
        except (ValueError, TypeError, RecursionError) as error:
            raise PriemoError(f"{path} is no submission: {str(error)[:120]}") from None


def schema() -> str:
    """The JSON schema of such a file, as text."""
    return json.dumps(Submission.model_json_schema(), indent=1) + "\n"


def _no_constant(name: str) -> float:
    raise ValueError(f"it holds {name}")


def _shape(lists: Sequence[Sequence[object]]) -> set[tuple[int, int]]:
    return {(len(lists), len(own)) for own in lists}


def _digits(texts: Sequence[str]) -> npt.NDArray[np.int8]:
    """(seeds, n) indices into EMOTIONS."""
    return np.array([[int(c) for c in text] for text in texts], np.int8)


def _frame(pictures: Pictures, entry: Entry, dataset: str) -> pd.DataFrame:
    """The rows of one entry: for each reading, seed and picture one."""
    n, seeds, k = len(pictures.ids), len(entry.seeds), len(entry.readings)
    target = EMOTIONS.index(entry.target) if entry.target in EMOTIONS else -1
    values = {
        name: np.array([[np.inf if v is None else v for v in own] for own in lists])
        for name, lists in entry.measures.items()
    }
    columns: dict[str, Any] = {
        **{name: np.tile(own.reshape(-1), k) for name, own in values.items()},
        "linf": np.tile(values["linf"].reshape(-1) / 255, k),
        "label": np.tile(_digits([pictures.labels])[0], seeds * k),
        "clean": np.concatenate([np.tile(_digits([r.clean])[0], seeds) for r in entry.readings]),
        "prediction": np.concatenate([_digits(r.published).reshape(-1) for r in entry.readings]),
        "seed": np.tile(np.repeat(np.array(entry.seeds, np.int64), n), k),
        "target_label": np.full(n * seeds * k, target, np.int8),
        "image": np.tile(np.array(pictures.ids), seeds * k),
        "person": np.tile(np.array([f"p{p}" for p in pictures.persons]), seeds * k),
        "victim": np.repeat([r.victim for r in entry.readings], n * seeds),
        "defense": np.repeat([r.defense for r in entry.readings], n * seeds),
    }
    names = {name: dataset if name == "dataset" else getattr(entry, name) for name in ROW}
    return pd.DataFrame({**columns, **names}).astype(dict.fromkeys(names, "category"))
