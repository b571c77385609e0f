"""What a run keeps: small files, each written aside and moved into place, each with its checksum.

    OUT/cells/KEY.json              facts of a cell: status, cost, strength, or why it failed
    OUT/cells/KEY.images.npz        its published images, as differences from the originals
    OUT/cells/KEY.metrics.npz       metrics of each image, by name and code
    OUT/cells/KEY.predictions.npz   predictions of each victim under each defense, by their code
    OUT/perturbations/KEY.npz       what an attack gave, before it was matched to a budget

Every key is a digest of all that decides what the file holds (`run/keys.py`). A file that is
damaged counts as absent. The facts say with which FORMAT a cell was written: one of before is read,
one of a newer version of priemo-bench refused.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from priemo_bench.contracts.storage import check_format, storage_errors, write_file, write_text
from priemo_bench.errors import PriemoError

FORMAT = 1
"""Of the files of a cell; those of version 0.2 and before do not name theirs, which is the same."""
Array = npt.NDArray[Any]
Arrays = dict[str, Array]


class Store:
    """The files of a run under `out`; a run and its readings share one."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.cells = out / "cells"
        self.perturbations = out / "perturbations"

    def facts(self, key: str) -> dict[str, Any] | None:
        """What is known of a cell: `status` "done" or "failed", cost ...; None before it ran.

        Raises:
            PriemoError: it was written by a newer version of priemo-bench.
        """
        path = self.cells / f"{key}.json"
        try:
            found = json.loads(path.read_text("utf-8"))
            facts: dict[str, Any] = found["facts"]
            whole = isinstance(facts, dict) and found["sha256"] == _checksum(facts)
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None
        if not whole:
            return None
        check_format(path, found.get("format", FORMAT), FORMAT)
        return facts

    def save_facts(self, key: str, facts: dict[str, Any]) -> None:
        """Write the facts of a cell; last, since they say that the rest is there."""
        plain = json.loads(json.dumps(facts, default=str))
        whole = {"format": FORMAT, "sha256": _checksum(plain), "facts": plain}
        write_text(self.cells / f"{key}.json", json.dumps(whole, indent=1))

    def done(self, key: str) -> bool:
        """Whether the cell is finished (one that failed or is incomplete is tried again)."""
        return (self.facts(key) or {}).get("status") == "done"

    def arrays(self, name: str) -> Arrays:
        """The arrays of `cells/NAME.npz`; none of them where it is absent or damaged."""
        path = self.cells / f"{name}.npz"
        if not _is_whole(path):
            return {}
        try:
            with np.load(path, allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
        except Exception:  # whole as a zip file, but not of arrays
            return {}
        return {name: array for name, array in found.items() if isinstance(array, np.ndarray)}

    def save_arrays(self, name: str, arrays: Arrays) -> None:
        """Write arrays to `cells/NAME.npz`."""
        whole: dict[str, Any] = dict(arrays)
        write_file(self.cells / f"{name}.npz", lambda file: np.savez_compressed(file, **whole))

    def save_images(self, key: str, pairs: Iterable[tuple[Array, Array]]) -> None:
        """Write published images from blocks of originals and published, both uint8.

        Their difference wraps modulo 256, and packs far better than the images.
        """
        _save_blocks(self.cells / f"{key}.images.npz", (y - x for x, y in pairs))

    def has_images(self, key: str) -> bool:
        """Whether the published images of a cell are there, undamaged."""
        return _is_whole(self.cells / f"{key}.images.npz")

    def images(self, key: str, originals: Iterable[Array]) -> Iterator[Array]:
        """The published images of blocks of originals, block by block.

        Raises:
            PriemoError: what is stored are no images of these.
        """
        path = self.cells / f"{key}.images.npz"
        changes = _blocks(path)
        for x in originals:
            change = next(changes, None)
            if change is None or (change.shape, change.dtype) != (x.shape, x.dtype):
                raise _damaged(path, "these are no images of the same faces")
            yield x + change

    def save_perturbation(self, key: str, blocks: Iterable[Array]) -> None:
        """Write what an attack gave, block by block."""
        _save_blocks(self.perturbations / f"{key}.npz", blocks)

    def has_perturbation(self, key: str) -> bool:
        """Whether that is there, undamaged."""
        return _is_whole(self.perturbations / f"{key}.npz")

    def perturbation(self, key: str) -> Iterator[Array]:
        """What an attack gave, block by block."""
        return _blocks(self.perturbations / f"{key}.npz")

    def sweep(self) -> None:
        """Remove what killed processes left half-written."""
        for folder in (
            self.out,
            self.cells,
            self.perturbations,
            self.out / "figures",
            self.out / "running",
        ):
            for path in folder.glob("*.part"):
                with storage_errors(path):
                    path.unlink(missing_ok=True)


def _checksum(facts: dict[str, Any]) -> str:
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _save_blocks(path: Path, blocks: Iterable[Array]) -> None:
    """Write arrays as members of a zip file, one after another; one is in memory at a time."""

    def fill(file: Any) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for number, block in enumerate(blocks):
                with archive.open(f"{number:06}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.ascontiguousarray(block))

    write_file(path, fill)


def _blocks(path: Path) -> Iterator[Array]:
    with _told(path), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    for name in names:
        with _told(path), zipfile.ZipFile(path) as archive, archive.open(name) as member:
            block = np.lib.format.read_array(member, allow_pickle=False)
            member.read()  # to its end, where the checksum is looked at
        yield block


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever a damaged file makes zipfile, zlib and numpy raise
        raise _damaged(path, " ".join(str(error).split())[:120]) from error


def _damaged(path: Path, why: str) -> PriemoError:
    return PriemoError(f"{path} is damaged ({why}); delete it, and run again")


def _is_whole(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # whatever a damaged file makes zipfile and zlib raise
        return False
