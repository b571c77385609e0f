"""The rows of a run, one per protected image, defense and victim: all tables come from them.

`results.parquet` holds them with the facts of the run (cells, costs, failures, data, machine) in
its metadata, so that this one file is enough to make every table and figure again. Its pages carry
checksums and its facts a SHA-256: a damaged file is refused, never read as other numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from priemo_bench.contracts.budgets import Bounds, budgets
from priemo_bench.contracts.columns import METHOD as METHOD
from priemo_bench.contracts.columns import NAMED as NAMED
from priemo_bench.contracts.columns import NUMBERS as NUMBERS
from priemo_bench.contracts.columns import PROBABILITIES as PROBABILITIES
from priemo_bench.contracts.columns import ROW as ROW
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.metric import MEASURES
from priemo_bench.contracts.shapes import NUMBER, Shape, fault
from priemo_bench.contracts.storage import check_format, write_file
from priemo_bench.errors import PriemoError

STATUS = ("done", "incomplete", "failed")
"""Of a cell: whole, without some of its `lost` parts, or without rows."""
FACTS: Shape = {
    "cells": [
        {
            **dict.fromkeys(ROW, str), "seed": int, "status": STATUS, "reason?": str,
            "threat?": (str, None), "lost?": [{"part": str, "reason": str}],
            "left_training?": [str], "zero_gradient?": [str], "seconds?": {str: NUMBER},
            **dict.fromkeys(
                (
                    "strength?", "factor?", "unchanged?", "fit_seconds?", "fit_forwards?",
                    "fit_backwards?", "ms_per_image?", "forwards_per_image?",
                    "backwards_per_image?", "peak_mb?",
                ),
                NUMBER,
            ),
        }
    ],
    "ssim_floor": NUMBER, "psnr_floor?": NUMBER, "eps": NUMBER,
    "budgets?": {str: {"ssim_floor": NUMBER, "psnr_floor": NUMBER, "eps": NUMBER}},
    "kin?": {str: {str: [str]}},
    "defenses?": {str: {"family?": (str, None), "strength?": NUMBER, str: (str, NUMBER)}},
    "code?": {"state": str, str: (str, {str: str})},
}  # fmt: skip
"""What tables are made from; a page needs more of it."""
FORMAT = 1
"""Of `results.parquet`; files of version 0.2 and before do not name theirs, which is the same."""
KNOWN = {*NAMED, *NUMBERS, *MEASURES, *PROBABILITIES}
"""Columns that are no further metrics."""
DAMAGE = (pa.ArrowException, LookupError, RuntimeError, TypeError, ValueError, OSError)
"""What a file that is damaged makes its readers raise."""
_META, _DIGEST = b"priemo_bench", b"priemo_bench.sha256"
_FORMAT = b"priemo_bench.format"


@dataclass(frozen=True)
class Rows:
    """Rows and the facts beside them.

    Attributes:
        frame: ROW (text), seed, defense, victim, image, person (text), label, clean, prediction,
            target_label (int8 indices into EMOTIONS, -1 for no target), ssim (as scikit-image
            computes it), ssim_full, psnr, linf, PROBABILITIES, and further metrics (NaN where one
            failed).
        facts: what else a report says, as in JSON: `cells` (a list: ROW, seed, status, reason,
            lost, cost ...), `ssim_floor`, `psnr_floor`, `eps`, `budgets`, `data`, `machine` ...
        source: the file they are from, for sentences about it.
    """

    frame: pd.DataFrame
    facts: dict[str, Any]
    source: str = "results.parquet"

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One line per cell."""
        return pd.DataFrame(self.facts["cells"])

    @property
    def bounds(self) -> Bounds:
        """The first floors of the run; `psnr_floor` is absent from files of version 0.1."""
        facts = self.facts
        return Bounds(facts["ssim_floor"], facts.get("psnr_floor"), facts["eps"])

    @cached_property
    def budgets(self) -> dict[str, Bounds]:
        """What each budget of the run allows, by name; files of version 0.3 have the first only."""
        named = self.facts.get("budgets")
        return {k: Bounds(**v) for k, v in named.items()} if named else budgets(self.bounds)

    def bounds_of(self, budget: str) -> Bounds:
        """What a budget allows; of conventional settings, what they are measured against.

        Raises:
            PriemoError: the facts do not have this budget.
        """
        if budget not in self.budgets:
            raise self.unusable(f"does not say what its budget {budget!r} allows")
        return self.budgets[budget]

    @property
    def further_metrics(self) -> list[str]:
        """Columns of metrics beyond MEASURES."""
        return [str(c) for c in self.frame if c not in KNOWN]

    def unusable(self, why: str) -> PriemoError:
        """The error for rows that nothing can be made from; `why` follows their file's name."""
        versions = self.facts.get("versions")
        version = versions.get("priemo-bench") if isinstance(versions, dict) else None
        made = f" (it was made by {version})" if isinstance(version, str) else ""
        return PriemoError(
            f"{self.source} {why}; it is damaged or of another version of priemo-bench{made}: "
            "make the run again"
        )

    def require(self, shape: Shape) -> None:
        """PriemoError unless the facts have this shape."""
        if why := fault(self.facts, shape):
            raise self.unusable(why)

    def save(self, path: Path) -> None:
        """Write `results.parquet`; StorageError where it cannot be written."""
        table = pa.Table.from_pandas(self.frame, preserve_index=False)
        facts = json.dumps(self.facts, default=str).encode()
        digest = sha256(facts).hexdigest().encode()
        extra = {_META: facts, _DIGEST: digest, _FORMAT: str(FORMAT).encode()}
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), **extra})
        write_file(
            path,
            lambda file: pq.write_table(table, file, compression="zstd", write_page_checksum=True),
        )

    @staticmethod
    def request(path: Path) -> str | None:
        """Digest of the spec and version that the file at `path` was written for, if any."""
        try:
            facts = _facts(pq.read_schema(path).metadata)
        except (pa.ArrowException, KeyError, ValueError, OSError):
            return None
        return str(facts.get("request"))

    @classmethod
    def load(cls, path: Path) -> Rows:
        """Read `results.parquet`.

        Raises:
            PriemoError: it is missing, damaged, of another version or by another program.
        """
        if not path.is_file():
            raise PriemoError(f"{path} does not exist; it is written by priemo-bench run")
        try:
            table = pq.read_table(path, page_checksum_verification=True)
            written = (table.schema.metadata or {}).get(_FORMAT, b"1")
            check_format(path, int(written) if written.isdigit() else written, FORMAT)
            rows = cls(table.to_pandas(ignore_metadata=True), _facts(table.schema.metadata),
                       str(path))  # fmt: skip
        except PriemoError:
            raise
        except DAMAGE as error:
            raise PriemoError(
                f"{path} is damaged, or was not written by priemo-bench run "
                f"({' '.join(str(error).split())[:120]}); make the run again"
            ) from None
        if why := _column_fault(table):
            raise rows.unusable(why)
        _without_probabilities(rows.frame)
        rows.require(FACTS)
        if not all(map(_are_bounds, rows.budgets.values())) or not rows.facts["cells"]:
            raise rows.unusable("has no cells or impossible bounds among its facts")
        return rows


def _facts(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    """The facts in the metadata of a file; ValueError where they are damaged."""
    found = metadata or {}
    digest = found.get(_DIGEST)
    if _META not in found:
        raise ValueError("no facts beside the rows")
    if digest is not None and sha256(found[_META]).hexdigest().encode() != digest:
        raise ValueError("its facts do not have their SHA-256")
    facts = json.loads(found[_META])
    if not isinstance(facts, dict):
        raise ValueError("its facts are no table of names and values")
    return facts


def _column_fault(table: pa.Table) -> str | None:
    """What is wrong with the columns of a file, None where nothing is."""
    names = table.column_names
    for name in [*NAMED, *NUMBERS, *MEASURES, *({*PROBABILITIES} & {*names})]:
        if names.count(name) != 1:
            return f"has {'two columns' if name in names else 'no column'} {name!r}"
    for name, column in zip(names, table.columns, strict=True):
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        whole = pa.types.is_integer(column.type)
        if name in NAMED and not (text and not column.null_count):
            return f"has something else than texts in its column {name!r}"
        if name in NUMBERS and not (whole and not column.null_count):
            return f"has something else than whole numbers in its column {name!r}"
        if name not in {*NAMED, *NUMBERS} and not (whole or pa.types.is_floating(column.type)):
            return f"has something else than numbers in its column {name!r}"
    for name in ("label", "clean", "prediction", "target_label"):
        values = table[name].to_numpy()
        lowest = -1 if name == "target_label" else 0
        if len(values) and not lowest <= values.min() <= values.max() < len(EMOTIONS):
            return f"has numbers that are no emotion in its column {name!r}"
    for name in {*PROBABILITIES} & {*names}:
        values = table[name].to_numpy()
        if not np.logical_or(np.isnan(values), (values >= 0) & (values <= 1)).all():
            return f"has numbers that are no probability in its column {name!r}"
    return None


def _without_probabilities(frame: pd.DataFrame) -> None:
    """Give rows of version 0.3 and before the columns of PROBABILITIES, unknown."""
    for name in PROBABILITIES:
        if name not in frame:
            frame[name] = np.full(len(frame), np.nan, np.float32)


def _are_bounds(bounds: Bounds) -> bool:
    floor, psnr, eps = bounds
    return (
        (floor is None or -1 <= floor < 1)
        and (psnr is None or 0 <= psnr < 1000)
        and (eps is None or 0 <= eps <= 1)
    )
