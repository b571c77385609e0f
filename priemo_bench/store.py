"""What a run keeps: one set of small files per cell, each written aside and moved into place.

    OUT/cells/KEY.json         the cell, its status, cost and strength, or the reason it failed
    OUT/cells/KEY.images.npz   its protected images (as differences from the originals) and quality
    OUT/cells/KEY.read.parquet what each victim reads in them under each defense

A new victim or defense therefore needs no new attack, and an interrupted run loses one cell.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pandas as pd

from priemo_bench.errors import PriemoError
from priemo_bench.images import Bytes

Arrays = dict[str, npt.NDArray[Any]]


class StorageError(PriemoError):
    """A file cannot be written; nothing more can be done."""


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """A full disk, or one that refuses, becomes one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"the disk is full: {path} cannot be written; finished work is kept, make room "
                "and type the command again"
            ) from error
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error


def write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Write a file aside with `fill` and move it into place, so that it is whole or not there."""
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    with telling(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside.open("wb") as file:
                fill(file)
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """The same for text."""
    write(path, lambda file: file.write(text.encode()))


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

    def keep(self, key: str, facts: dict[str, Any]) -> None:
        """Write the facts of a cell; last, since they say that the rest is there."""
        write_text(self.cells / f"{key}.json", json.dumps(facts, indent=1, default=str))

    def keep_images(self, key: str, x: Bytes, y: Bytes, quality: Arrays) -> None:
        """Write protected images `y` of originals `x` (uint8, same shape) with their quality."""
        change = y - x  # wraps modulo 256, and packs far better than the images
        arrays: dict[str, Any] = {"change": change, **quality}
        write(self.cells / f"{key}.images.npz", lambda f: np.savez_compressed(f, **arrays))

    def images(self, key: str, x: Bytes) -> Bytes:
        """The protected images of originals `x`."""
        with np.load(self.cells / f"{key}.images.npz", allow_pickle=False) as file:
            return x + file["change"]  # type: ignore[no-any-return]

    def quality(self, key: str) -> Arrays:
        """Quality of each protected image by name of the measure."""
        with np.load(self.cells / f"{key}.images.npz", allow_pickle=False) as file:
            return {name: file[name] for name in file.files if name != "change"}

    def readings(self, key: str) -> pd.DataFrame:
        """What was read so far: a row per image, a column per victim and defense."""
        path = self.cells / f"{key}.read.parquet"
        return pd.read_parquet(path) if path.is_file() else pd.DataFrame()

    def keep_readings(self, key: str, readings: pd.DataFrame) -> None:
        """Write what was read."""
        write(self.cells / f"{key}.read.parquet", lambda f: readings.to_parquet(f, index=False))
