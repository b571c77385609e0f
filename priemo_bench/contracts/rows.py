"""The rows of a run, one per protected image, defense and victim: all tables come from them.

`results.parquet` holds them with the facts of the run (cells, costs, failures, data, machine) in
its metadata, so that this one file is enough to make every table and figure again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from priemo_bench.contracts.metric import MEASURES
from priemo_bench.contracts.storage import write_file
from priemo_bench.errors import PriemoError

METHOD = ["dataset", "budget", "attack", "family", "scope", "scale"]
ROW = [*METHOD, "surrogate", "target"]
"""What one row of the leaderboard is."""

NAMED = [*ROW, "defense", "victim", "image", "person"]
"""Columns of text."""
NUMBERS = ["seed", "label", "clean", "prediction", "target_label"]
"""Columns of integers."""
_META = b"priemo_bench"


class Bounds(NamedTuple):
    """What the budgets of a run allow; None is no bound. `eps` is the linf cap, 0 to 1."""

    ssim_floor: float | None
    psnr_floor: float | None
    eps: float | None


@dataclass(frozen=True)
class Rows:
    """Rows and the facts beside them.

    Attributes:
        frame: ROW (text), seed, defense, victim, image, person (text), label, clean, prediction,
            target_label (int8 indices into EMOTIONS, -1 for no target), ssim (as scikit-image
            computes it), ssim_full, psnr, linf, and further metrics.
        facts: what else a report says, as in JSON: `cells` (a list: ROW, seed, status, reason,
            cost ...), `ssim_floor`, `psnr_floor`, `eps`, `data`, `machine`, `versions` ...
    """

    frame: pd.DataFrame
    facts: dict[str, Any]

    @property
    def cells(self) -> pd.DataFrame:
        """One line per cell."""
        return pd.DataFrame(self.facts["cells"])

    @property
    def bounds(self) -> Bounds:
        """The budgets of the run; `psnr_floor` is absent from files of version 0.1."""
        facts = self.facts
        return Bounds(facts["ssim_floor"], facts.get("psnr_floor"), facts["eps"])

    @property
    def further_metrics(self) -> list[str]:
        """Columns of metrics beyond MEASURES."""
        return [str(c) for c in self.frame if c not in {*NAMED, *NUMBERS, *MEASURES}]

    def save(self, path: Path) -> None:
        """Write `results.parquet`; StorageError where it cannot be written."""
        table = pa.Table.from_pandas(self.frame, preserve_index=False)
        extra = {_META: json.dumps(self.facts, default=str).encode()}
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), **extra})
        write_file(path, lambda file: pq.write_table(table, file, compression="zstd"))

    @staticmethod
    def request(path: Path) -> str | None:
        """Digest of the spec and version that the file at `path` was written for, if any."""
        try:
            facts = json.loads((pq.read_schema(path).metadata or {})[_META])
        except (pa.ArrowException, KeyError, ValueError, OSError):
            return None
        return str(facts.get("request"))

    @classmethod
    def load(cls, path: Path) -> Rows:
        """Read `results.parquet`; PriemoError when it is missing or not one."""
        if not path.is_file():
            raise PriemoError(f"{path} does not exist; it is written by priemo-bench run")
        try:
            table = pq.read_table(path)
            facts = json.loads((table.schema.metadata or {})[_META])
        except (pa.ArrowException, KeyError, ValueError, OSError):
            raise PriemoError(f"{path} was not written by priemo-bench run") from None
        return cls(table.to_pandas(), facts)
