"""What a run keeps: one set of small files per cell, each written aside and moved into place.

    OUT/cells/KEY.json         the cell, its status, cost and strength, or the reason it failed
    OUT/cells/KEY.images.npz   its protected images (as differences from the originals) and quality
    OUT/cells/KEY.read.parquet predictions of each victim under each defense

A new victim or defense therefore needs no new attack, and an interrupted run loses one cell.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from priemo_bench.contracts.image import ByteImages
from priemo_bench.contracts.storage import write_file, write_text

Arrays = dict[str, npt.NDArray[Any]]


class Store:
    """The files of a run under `out`."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.cells = out / "cells"

    def facts(self, key: str) -> dict[str, Any] | None:
        """What is known of a cell: `status` "done" or "failed", cost ...; None before it ran."""
        path = self.cells / f"{key}.json"
        try:
            facts: dict[str, Any] = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return facts

    def done(self, key: str) -> bool:
        """Whether the cell is finished (a failed one is tried again)."""
        return (self.facts(key) or {}).get("status") == "done"

    def save_facts(self, key: str, facts: dict[str, Any]) -> None:
        """Write the facts of a cell; last, since they say that the rest is there."""
        write_text(self.cells / f"{key}.json", json.dumps(facts, indent=1, default=str))

    def save_images(self, key: str, x: ByteImages, y: ByteImages, quality: Arrays) -> None:
        """Write protected images `y` of originals `x` (uint8, same shape) with their quality."""
        change = y - x  # wraps modulo 256, and packs far better than the images
        arrays: dict[str, Any] = {"change": change, **quality}
        write_file(self.cells / f"{key}.images.npz", lambda f: np.savez_compressed(f, **arrays))

    def images(self, key: str, x: ByteImages) -> ByteImages:
        """The protected images of originals `x`."""
        with np.load(self.cells / f"{key}.images.npz", allow_pickle=False) as file:
            return x + file["change"]  # type: ignore[no-any-return]

    def quality(self, key: str) -> Arrays:
        """Quality of each protected image by name of the measure."""
        with np.load(self.cells / f"{key}.images.npz", allow_pickle=False) as file:
            return {name: file[name] for name in file.files if name != "change"}

    def predictions(self, key: str) -> pd.DataFrame:
        """Predictions so far: a row per image, a column per victim and defense."""
        path = self.cells / f"{key}.read.parquet"
        return pd.read_parquet(path) if path.is_file() else pd.DataFrame()

    def save_predictions(self, key: str, predictions: pd.DataFrame) -> None:
        """Write predictions."""
        write_file(
            self.cells / f"{key}.read.parquet", lambda f: predictions.to_parquet(f, index=False)
        )
