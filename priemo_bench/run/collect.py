"""The rows of a run, collected from what its cells left in the store."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.metric import MEASURES
from priemo_bench.contracts.rows import METHOD, NAMED, NUMBERS, Rows
from priemo_bench.run.context import RunContext
from priemo_bench.run.execute import add_predictions, clean_key, columns
from priemo_bench.run.plan import Cell
from priemo_bench.run.store import Store


def gather(cells: Iterable[Cell], context: RunContext, store: Store) -> Rows:
    """The rows of all finished cells, and the facts of all."""
    frames, facts = [], []
    for cell in cells:
        known = store.facts(cell.key) or {"status": "failed", "reason": "it was not run"}
        own = {"seed": cell.seed, "threat": cell.threat, "key": cell.key}
        facts.append({**_names(cell), **own, **known})
        if known["status"] == "done":
            frames.append(_of_cell(cell, context, store))
    return Rows(_joined(frames) if frames else _empty(), {"cells": facts})


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


def _of_cell(cell: Cell, context: RunContext, store: Store) -> pd.DataFrame:
    faces = context.test_faces(cell)
    clean_at = clean_key(context, cell)
    add_predictions(clean_at, True, context, store, lambda: faces.images)
    clean, protected = store.predictions(clean_at), store.predictions(cell.key)
    lost = store.quality(cell.key)
    per_image = {
        "image": faces.ids.astype(object),
        "person": faces.persons.astype(object),
        "label": faces.labels.astype(np.int8),
        **{name: lost[name] for name in (*MEASURES, *context.spec.metrics)},
    }
    parts = [
        pd.DataFrame(
            {
                **per_image,
                "victim": victim,
                "defense": defense,
                "clean": clean[name].to_numpy(np.int8),
                "prediction": protected[name].to_numpy(np.int8),
            }
        )
        for (victim, defense), name in columns(context, cell.defended).items()
    ]
    frame = pd.concat(parts, ignore_index=True).assign(**_names(cell))
    frame["seed"] = np.int16(cell.seed)
    frame["target_label"] = np.int8(cell.target)
    return frame.astype(dict.fromkeys(NAMED, "category"))


def _empty() -> pd.DataFrame:
    frame = pd.DataFrame({name: pd.Series(dtype="int8") for name in NUMBERS})
    return frame.assign(**{name: pd.Series(dtype=float) for name in MEASURES}).assign(
        **{name: pd.Series(dtype="category") for name in NAMED}
    )
