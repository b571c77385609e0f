"""What was done to each photo: OUT/protected.jsonl, a line a photo, from which a job goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from priemo_bench.contracts.storage import storage_errors, write_text
from priemo_bench.errors import PriemoError
from priemo_bench.photos.places import Source

NAME = "protected.jsonl"
FORMAT = 1
"""Of a line; lines of another are not read."""
Line = dict[str, Any]


class Record:
    """The lines of a folder by photo; a torn last line of a killed job is as none."""

    def __init__(self, out: Path) -> None:
        self.path = out / NAME
        self.lines: dict[str, Line] = {}
        for line in self._read():
            self.lines[line["photo"]] = line

    def _read(self) -> Iterator[Line]:
        if not self.path.exists():
            return
        try:
            texts = self.path.read_text("utf-8", "replace").splitlines()
        except OSError as error:
            raise PriemoError(f"{self.path} cannot be read: {error.strerror}") from None
        for text in texts:
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if not isinstance(line, dict) or not isinstance(line.get("photo"), str):
                continue
            if line.get("format") != FORMAT:
                raise PriemoError(
                    f"{self.path} was written by another version; give another folder with --out"
                )
            yield line

    @property
    def places(self) -> dict[str, str]:
        """Photo to its file below the folder."""
        return {k: v["out"] for k, v in self.lines.items() if isinstance(v.get("out"), str)}

    def done(self, source: Source, path: Path, digest: str) -> Line | None:
        """The line of a photo that needs no more work: unchanged since, and protected alike."""
        line = self.lines.get(source.key)
        if line is None or line.get("settings") != digest or line.get("of") != stamp(source.path):
            return None
        if line.get("status") == "no face":
            return line
        return line if line.get("status") == "done" and path.is_file() else None

    def add(self, line: Line) -> None:
        """One more line, on the disk when this returns."""
        self.lines[line["photo"]] = line
        with storage_errors(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def tidy(self) -> None:
        """One line a photo."""
        write_text(self.path, "".join(json.dumps(line) + "\n" for line in self.lines.values()))


def stamp(path: Path) -> list[int]:
    """Size and time of change: whether a photo is the same file as before."""
    try:
        found = os.stat(path)
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns]


@contextmanager
def held(out: Path) -> Iterator[Record]:
    """The record of `out`, whose folder is made, for one job at a time.

    Raises:
        PriemoError: another job writes there, or nothing can be written.
    """
    with storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / ".lock")
    try:
        with storage_errors(out / ".lock"):
            lock.acquire(timeout=0)
    except Timeout:
        raise PriemoError(f"another job is writing to {out}; wait for its end") from None
    try:
        record = Record(out)
        if record.path.exists():
            record.tidy()
        yield record
    finally:
        lock.release()
