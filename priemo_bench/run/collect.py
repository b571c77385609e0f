"""The rows of a run, collected from what its cells left in the store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.metric import MEASURES
from priemo_bench.contracts.rows import METHOD, NAMED, NUMBERS, Rows
from priemo_bench.run.execute import columns, metric_names
from priemo_bench.run.perturb import Workplace
from priemo_bench.run.plan import Cell, broken_attacks
from priemo_bench.run.spec import Spec

UNSTORED = ("parts", "title", "attacked")
"""Facts of a cell that its store needs, and a report does not."""


def gather(cells: Iterable[Cell], place: Workplace) -> Rows:
    """The rows of all cells that have images, and the facts of all."""
    frames, facts = [], _broken(place.context.spec)
    for cell in cells:
        known = _facts(cell, place)
        facts.append({**_names(cell), "seed": cell.seed, "threat": cell.threat, **known})
        if known["status"] in ("done", "incomplete"):
            frames += _frames(cell, place)
    rows = _joined(frames) if frames else _empty(place.context.spec)
    return Rows(rows, {"cells": facts})


def _facts(cell: Cell, place: Workplace) -> dict[str, Any]:
    """What is stored of a cell, and what is lost of the clean predictions that it needs."""
    known = place.store.facts(cell.key) or {"status": "failed", "reason": "it was not run"}
    known = {"key": cell.key} | {k: v for k, v in known.items() if k not in UNSTORED}
    clean = (place.store.facts(place.keys.clean(cell)) or {}).get("lost", [])
    lost = known.get("lost", [])
    there = {part["part"] for part in lost}
    more = [p for p in clean if p["part"] not in there and (cell.defended or _is_plain(p["part"]))]
    if known["status"] == "failed" or not more:
        return known
    return {**known, "status": "incomplete", "lost": [*lost, *more]}


def _is_plain(part: str) -> bool:
    """Whether a lost part of clean predictions is of a victim without a defense."""
    return part.startswith("victim ") and " under " not in part


def _broken(spec: Spec) -> list[dict[str, Any]]:
    """A failed cell for each attack that does not load."""
    reasons = broken_attacks(spec)
    blank = dict.fromkeys([*METHOD, "surrogate", "target"], "-")
    return [
        {
            **blank, "dataset": dataset.name, "budget": "equal", "attack": attack.title,
            "seed": 0, "threat": "no-model", "key": "", "status": "failed",
            "reason": reasons[attack.name],
        }
        for dataset in spec.datasets
        for attack in spec.attacks
        if attack.name in reasons
    ]  # fmt: skip


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """One frame of many; texts stay categories (millions of rows)."""
    numbers = pd.concat([frame.drop(columns=NAMED) for frame in frames], ignore_index=True)
    texts = {name: union_categoricals([frame[name] for frame in frames]) for name in NAMED}
    return numbers.assign(**texts)


def _names(cell: Cell) -> dict[str, str]:
    target = EMOTIONS[cell.target] if cell.target >= 0 else "-"
    return {
        **{name: getattr(cell, name) for name in METHOD},
        "surrogate": cell.surrogate,
        "target": target,
    }


def _frames(cell: Cell, place: Workplace) -> list[pd.DataFrame]:
    """Rows of a cell, a frame for each victim and defense that predicted its images."""
    faces = place.context.test_faces(cell)
    clean = place.store.arrays(f"{place.keys.clean(cell)}.predictions")
    protected = place.store.arrays(f"{cell.key}.predictions")
    measured = place.store.arrays(f"{cell.key}.metrics")
    names = metric_names(place)
    wanted = dict.fromkeys([*MEASURES, *place.context.spec.metrics])
    missing = np.full(len(faces), np.nan)
    per_image = {
        "image": faces.ids.astype(object),
        "person": faces.persons.astype(object),
        "label": faces.labels.astype(np.int8),
        **{name: measured.get(names.get(name, ""), missing) for name in wanted},
    }
    fixed: dict[str, Any] = {
        **_names(cell),
        "seed": np.int64(cell.seed),
        "target_label": np.int8(cell.target),
    }
    return [
        pd.DataFrame(
            {
                **per_image,
                "victim": victim,
                "defense": defense,
                "clean": clean[column],
                "prediction": protected[column],
            }
        )
        .assign(**fixed)
        .astype(dict.fromkeys(NAMED, "category"))
        for (victim, defense), column in columns(place, cell.defended).items()
        if column in clean and column in protected
    ]


def _empty(spec: Spec) -> pd.DataFrame:
    frame = pd.DataFrame({name: pd.Series(dtype="int8") for name in NUMBERS})
    measures = dict.fromkeys([*MEASURES, *spec.metrics])
    return frame.assign(**{name: pd.Series(dtype=float) for name in measures}).assign(
        **{name: pd.Categorical([], categories=["-"]) for name in NAMED}
    )
