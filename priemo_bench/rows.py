"""The rows of a run, one per protected image, defense and victim: all tables come from them.

`results.parquet` holds them with the facts of the run (cells, costs, failures, data, machine) in
its metadata, so that the one file is enough to make every table and figure again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.api.types import union_categoricals

from priemo_bench.errors import PriemoError
from priemo_bench.execute import clean_key, columns, read_missing
from priemo_bench.images import EMOTIONS
from priemo_bench.lab import Lab
from priemo_bench.plan import Cell
from priemo_bench.quality import MEASURES
from priemo_bench.store import Store, write

METHOD = ["dataset", "budget", "attack", "family", "scope", "scale"]
ROW = [*METHOD, "surrogate", "target"]
"""What one row of the leaderboard is."""

NAMED = [*ROW, "defense", "victim", "image", "person"]
NUMBERS = ["seed", "label", "clean", "prediction", "target_label"]
_META = b"priemo_bench"


@dataclass(frozen=True)
class Rows:
    """Rows and the facts beside them.

    Attributes:
        frame: ROW (text), seed, defense, victim, image, person (text), label, clean, prediction,
            target_label (int8 indices into EMOTIONS, -1 for no target), ssim (as scikit-image has
            it), ssim_full, psnr, linf, and further metrics.
        facts: `cells` (a list: ROW, seed, status, reason, cost ...) and what else a report says.
    """

    frame: pd.DataFrame
    facts: dict[str, Any]

    @property
    def cells(self) -> pd.DataFrame:
        """One line per cell."""
        return pd.DataFrame(self.facts["cells"])

    @property
    def further_metrics(self) -> list[str]:
        """Columns of metrics beyond MEASURES."""
        return [str(c) for c in self.frame if c not in {*NAMED, *NUMBERS, *MEASURES}]

    def save(self, path: Path) -> None:
        """Write `results.parquet`."""
        table = pa.Table.from_pandas(self.frame, preserve_index=False)
        extra = {_META: json.dumps(self.facts, default=str).encode()}
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), **extra})
        write(path, lambda file: pq.write_table(table, file, compression="zstd"))

    @staticmethod
    def request(path: Path) -> str | None:
        """Digest of what the file at `path` answers; None where there is no such file."""
        try:
            facts = json.loads((pq.read_schema(path).metadata or {})[_META])
        except (pa.ArrowException, KeyError, ValueError, OSError):
            return None
        return str(facts.get("request"))

    @classmethod
    def load(cls, path: Path) -> Rows:
        """Read `results.parquet`; PriemoError when it is not one."""
        if not path.is_file():
            raise PriemoError(f"{path} does not exist; it is written by priemo-bench run")
        try:
            table = pq.read_table(path)
            facts = json.loads((table.schema.metadata or {})[_META])
        except (pa.ArrowException, KeyError, ValueError, OSError):
            raise PriemoError(f"{path} was not written by priemo-bench run") from None
        return cls(table.to_pandas(), facts)


def gather(cells: Iterable[Cell], lab: Lab, store: Store) -> Rows:
    """The rows of all finished cells, and the facts of all."""
    frames, facts = [], []
    for cell in cells:
        known = store.facts(cell.key) or {"status": "failed", "reason": "it was not run"}
        own = {"seed": cell.seed, "threat": cell.threat, "key": cell.key}
        facts.append({**_names(cell), **own, **known})
        if known["status"] == "done":
            frames.append(_of_cell(cell, lab, store))
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


def _of_cell(cell: Cell, lab: Lab, store: Store) -> pd.DataFrame:
    faces = lab.test_faces(cell)
    clean_at = clean_key(lab, cell)
    read_missing(clean_at, True, lab, store, lambda: faces.images)
    clean, protected = store.readings(clean_at), store.readings(cell.key)
    lost = store.quality(cell.key)
    per_image = {
        "image": faces.ids.astype(object),
        "person": faces.persons.astype(object),
        "label": faces.labels.astype(np.int8),
        **{name: lost[name] for name in (*MEASURES, *lab.spec.metrics)},
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
        for (victim, defense), name in columns(lab, cell.defended).items()
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
