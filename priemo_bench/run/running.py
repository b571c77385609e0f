"""Which cells are running, in which process: a small file each, that other processes read."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any


class Running:
    """The files `OUT/running/KEY.json`; a process that is killed leaves its own behind."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out / "running"

    def begin(self, key: str, title: str, steps: int) -> None:
        """A cell begins in this process."""
        self._write(key, {"title": title, "steps": steps, "done": 0})

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
        return found if isinstance(found, dict) else {}

    def all(self) -> list[str]:
        """Cells that are running, or were when their process died."""
        return sorted(path.stem for path in self.folder.glob("*.json"))

    def clear(self) -> None:
        """Forget what earlier runs left."""
        for key in self.all():
            self.end(key)

    def _write(self, key: str, facts: dict[str, Any]) -> None:
        with suppress(OSError):  # progress that cannot be written costs no run
            self._replace(key, facts)

    def _replace(self, key: str, facts: dict[str, Any]) -> None:
        own = {"process": os.getpid(), "host": socket.gethostname(), "since": time.time()}
        path = self.folder / f"{key}.json"
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(f".{os.getpid()}.part")
        aside.write_text(json.dumps({**own, **facts}), "utf-8")
        os.replace(aside, path)
