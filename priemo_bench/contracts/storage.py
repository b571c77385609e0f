"""Files written whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from priemo_bench.errors import PriemoError


class StorageError(PriemoError):
    """A file cannot be written; nothing more can be done."""


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
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


def write_file(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Write a file aside with `fill` and move it into place, so that it is whole or not there."""
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside.open("wb") as file:
                fill(file)
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """The same for text."""
    write_file(path, lambda file: file.write(text.encode()))
