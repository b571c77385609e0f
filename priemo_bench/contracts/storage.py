"""Files written whole or not at all, and tensors with metadata as safetensors."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from priemo_bench.errors import PriemoError


class StorageError(PriemoError):
    """A file cannot be written; nothing more can be done."""


def home() -> Path:
    """Where installed weights are kept: $PRIEMO_HOME, or ~/.cache/priemo-bench."""
    return Path(os.environ.get("PRIEMO_HOME") or "~/.cache/priemo-bench").expanduser()


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Re-raise OSError as StorageError, one sentence that names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"the disk is full: {path} cannot be written; finished work is kept, make room "
                "and type the command again"
            ) from error
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error


def write_file(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Write atomically: `fill` writes a temporary file beside `path`, which then replaces it.

    What was written is on the disk before the name is, so that not even a power cut leaves half a
    file under `path`; a killed process leaves a `*.part` file at most.

    Raises:
        StorageError: the disk is full or refuses.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside.open("wb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """`write_file` for text, as UTF-8."""
    write_file(path, lambda file: file.write(text.encode()))


def check_format(path: Path, found: object, known: int) -> None:
    """PriemoError unless a file's format is a whole number from 1 to `known`."""
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise PriemoError(f"{path} is damaged: its format is {str(found)[:40]!r}")
    if found > known:
        raise PriemoError(
            f"{path} was written by a newer version of priemo-bench (format {str(found)[:9]}, this "
            f"version reads up to {known}); update it, or use another folder"
        )


Tensors = dict[str, npt.NDArray[Any]]


def save_tensors(path: Path, tensors: Tensors, metadata: Mapping[str, str]) -> None:
    """Write arrays and their metadata as safetensors, atomically.

    Raises:
        StorageError: the disk is full or refuses.
    """
    whole = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    write_file(path, lambda file: file.write(save(whole, dict(metadata))))


def load_tensors(path: Path) -> tuple[Tensors, dict[str, str]]:
    """The arrays of a safetensors file and its metadata.

    Raises:
        PriemoError: the file is missing or not safetensors.
    """
    try:
        with safe_open(path, "numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise PriemoError(f"{path} cannot be read as safetensors: {error}") from None
