"""The rows of a run, collected from what its cells left in the store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import union_categoricals

from priemo_bench.contracts.columns import PROBABILITIES
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.metric import MEASURES
from priemo_bench.contracts.rows import METHOD, NAMED, NUMBERS, Rows
from priemo_bench.run.execute import PROBABILITY, columns, metric_names
from priemo_bench.run.perturb import Workplace
from priemo_bench.run.plan import Cell, broken_attacks
from priemo_bench.run.spec import Spec
from priemo_bench.run.store import Arrays

UNSTORED = ("parts", "title", "attacked")
"""Facts of a cell that its store needs, and a report does not."""


def gather(cells: Iterable[Cell], place: Workplace) -> Rows:
    """The rows of all cells that have images, and the facts of all."""
    frames, facts = [], _broken(place.context.spec)
    for cell in cells:
        known = place.store.facts(cell.key) or {"status": "failed", "reason": "it was not run"}
        known = {"key": cell.key} | {k: v for k, v in known.items() if k not in UNSTORED}
        if known["status"] in ("done", "incomplete"):
            frame, missing = _of_cell(cell, place)
            frames += [frame] if len(frame) else []
            lost = _lost(cell, known, missing, place)
            known |= {"status": "incomplete" if lost else "done", "lost": lost}
        facts.append({**_names(cell), "seed": cell.seed, "threat": cell.threat, **known})
    rows = _joined(frames) if frames else _empty(place.context.spec)
    return Rows(rows, {"cells": facts})


def _lost(
    cell: Cell, known: dict[str, Any], missing: list[str], place: Workplace
) -> list[dict[str, str]]:
    """Lost parts of a cell: its own, of the clean predictions, and what the store has lost."""
    clean = (place.store.facts(place.keys.clean(cell)) or {}).get("lost", [])
    reasons = {part["part"]: part["reason"] for part in [*clean, *known.get("lost", [])]}
    found = {part["part"]: part["reason"] for part in known.get("lost", [])}
    for part in missing:
        whole = [w for w in (part, part.partition(" under ")[0], _defense(part)) if w in reasons]
        name = whole[0] if whole else part
        found.setdefault(name, reasons.get(name, "it is missing in the store; run again"))
    return [{"part": part, "reason": reason} for part, reason in found.items()]


def _defense(part: str) -> str:
    return f"defense {part.rpartition(' under ')[2]}"


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


_PROBABILITIES = tuple(
    zip(PROBABILITIES, ("clean", "published", "published"), (1, 0, 1), strict=True)
)
"""Each column, of which images it is, and whether of the label (0) or of the prediction (1)."""


def _thousandths(arrays: Arrays, column: str, n: int) -> npt.NDArray[np.float32]:
    """(n, 2) probabilities beside the predictions `column`; NaN where none are stored."""
    found = arrays.get(PROBABILITY.format(column), np.zeros(0))
    if found.shape != (n, 2) or found.dtype != np.uint16:
        return np.full((n, 2), np.nan, np.float32)
    return (found / 1000).astype(np.float32)


def _of_cell(cell: Cell, place: Workplace) -> tuple[pd.DataFrame, list[str]]:
    """Rows of a cell, for each victim and defense that predicted its images; what is missing."""
    faces = place.context.test_faces(cell)
    clean = place.store.arrays(f"{place.keys.clean(cell)}.predictions")
    protected = place.store.arrays(f"{cell.key}.predictions")
    stored = {"clean": clean, "published": protected}
    measured = place.store.arrays(f"{cell.key}.metrics")
    wanted = columns(place, cell.defended)
    pairs = {p: column for p, column in wanted.items() if column in clean and column in protected}
    names = metric_names(place)
    missing = [
        *(f"metric {name}" for name, array in names.items() if array not in measured),
        *(f"victim {v}" if d == "none" else f"victim {v} under {d}"
          for v, d in wanted.keys() - pairs.keys()),
    ]  # fmt: skip
    n, k = len(faces), len(pairs)
    nothing = np.full(n, np.nan)
    metrics = dict.fromkeys([*MEASURES, *place.context.spec.metrics])
    per_image: dict[str, Any] = {
        "label": faces.labels.astype(np.int8),
        **{name: measured.get(names.get(name, ""), nothing) for name in metrics},
    }
    frame = pd.DataFrame({name: np.tile(values, k) for name, values in per_image.items()})
    for name, found in (("clean", clean), ("prediction", protected)):
        parts = [found[column] for column in pairs.values()]
        frame[name] = np.concatenate(parts) if parts else np.zeros(0, np.int8)
    for name, which, part in _PROBABILITIES:
        parts = [_thousandths(stored[which], column, n)[:, part] for column in pairs.values()]
        frame[name] = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    for name, values in (("image", faces.ids), ("person", faces.persons)):
        codes, texts = pd.factorize(values.astype(object))
        frame[name] = pd.Categorical.from_codes(np.tile(codes, k), pd.Index(texts))
    for number, name in enumerate(("victim", "defense")):
        codes, texts = pd.factorize(np.array([pair[number] for pair in pairs], dtype=object))
        frame[name] = pd.Categorical.from_codes(np.repeat(codes, n), pd.Index(texts))
    for name, text in _names(cell).items():
        frame[name] = pd.Categorical.from_codes(np.zeros(n * k, np.int8), pd.Index([text]))
    frame["seed"], frame["target_label"] = np.int64(cell.seed), np.int8(cell.target)
    return frame, missing


def _empty(spec: Spec) -> pd.DataFrame:
    frame = pd.DataFrame({name: pd.Series(dtype="int8") for name in NUMBERS})
    measures = dict.fromkeys([*MEASURES, *spec.metrics])
    floats = dict.fromkeys(PROBABILITIES, "float32") | dict.fromkeys(measures, "float64")
    return frame.assign(**{name: pd.Series(dtype=kind) for name, kind in floats.items()}).assign(
        **{name: pd.Categorical([], categories=["-"]) for name in NAMED}
    )
