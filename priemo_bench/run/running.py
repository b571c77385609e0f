"""Which cells are running, in which process: a small file each, that other processes read."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from priemo_bench.contracts.shapes import NUMBER, Shape, fault

FACTS: Shape = {
    "run": str, "title": str, "steps": int, "done": int, "deaths": int, "process?": int,
    "host?": str, "since?": NUMBER,
}  # fmt: skip
"""Of a file; one of another shape is damaged, and counts as missing."""


class Running:
    """The files `OUT/running/KEY.json`; a process that dies leaves its own behind.

    Attributes:
        run: by which the files of this run are told from those that earlier ones left.
    """

    def __init__(self, out: Path, run: str = "") -> None:
        self.out = out
        self.run = run or uuid4().hex
        self.folder = out / "running"

    def begin(self, key: str, title: str, steps: int) -> None:
        """A cell begins in this process."""
        deaths = self.deaths(key)
        self._write(key, {"title": title, "steps": steps, "done": 0, "deaths": deaths})

    def deaths(self, key: str) -> int:
        """How often a process has died while it ran this cell, by what earlier runs left."""
        found = self.of(key)
        return int(found["deaths"]) + (found["run"] != self.run) if found else 0

    def step(self, key: str, done: int) -> None:
        """How many of its images are done."""
        self._write(key, {**self.of(key), "done": done})

    def end(self, key: str) -> None:
        """It has ended."""
        (self.folder / f"{key}.json").unlink(missing_ok=True)

    def of(self, key: str) -> dict[str, Any]:
        """What is known of a cell that runs; nothing of others."""
        try:
            found = json.loads((self.folder / f"{key}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return {} if fault(found, FACTS) else found

    def all(self) -> list[str]:
        """Cells of this run that are running, or were when their process died."""
        keys = sorted(path.stem for path in self.folder.glob("*.json"))
        return [key for key in keys if self.of(key).get("run") == self.run]

    def clear(self) -> None:
        """Forget the cells of this run."""
        for key in self.all():
            self.end(key)

    def keep(self, keys: Collection[str]) -> None:
        """Forget what earlier runs left of other cells than these."""
        for path in self.folder.glob("*"):
            if path.suffix != ".json" or path.stem not in keys:
                path.unlink(missing_ok=True)

    def _write(self, key: str, facts: dict[str, Any]) -> None:
        with suppress(OSError):  # progress that cannot be written costs no run
            self._replace(key, facts)

    def _replace(self, key: str, facts: dict[str, Any]) -> None:
        own = {"run": self.run, "process": os.getpid(), "host": socket.gethostname(),
               "since": time.time()}  # fmt: skip
        path = self.folder / f"{key}.json"
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(f".{os.getpid()}.part")
        aside.write_text(json.dumps({**own, **facts}), "utf-8")
        os.replace(aside, path)
