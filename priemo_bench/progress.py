"""What runs, how much of it is done, and how long the rest will take; on standard error."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, get_args

from priemo_bench.errors import require

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

Mode = Literal["auto", "bars", "lines", "json", "quiet"]
"""How progress is shown; "auto" is bars on a terminal and in notebooks with widgets, nothing in
notebooks without, and lines elsewhere."""
LINE_SECONDS, EVENT_SECONDS = 30.0, 1.0
"""Least time between two lines, and between two JSON events, of one cell that goes on."""
PRIOR = 0.05
"""Share of the work that counts as measured when an estimate of all of it is given."""


@contextmanager
def progress(mode: Mode = "auto") -> Iterator[Progress]:
    """Shows what is told to the `Progress` it gives, on standard error.

    With "json" each line is an object: `event` is "run", "begin", "advance", "done" or "say",
    `cell` a title, `done` and `total` count cells, `step` and `steps` are those of the cell,
    `seconds` what it took, `remaining` the seconds that all the rest will take, or null.

    Raises:
        PriemoError: an unknown mode.

    Example:
        >>> with progress("quiet") as shown:  # "auto" by default
        ...     run = shown.run(2, seconds=30)  # two cells, that should take half a minute in all
        ...     for title in ("pgd on resnet", "pgd on vgg"):
        ...         run.begin(title, title, steps=8)
        ...         for batch in range(8):
        ...             run.step(title, batch + 1)
        ...         run.end(title, title, "done")
        >>> shown.done
        2
    """
    require(mode in get_args(Mode), "progress", mode, f"one of {', '.join(get_args(Mode))}")
    found = _mode_here() if mode == "auto" else mode
    if found == "bars":
        from rich.console import Console

        with _bars(Console(stderr=True)) as bars:
            yield bars
    else:
        yield {"lines": _Lines, "json": _Json}.get(found, Progress)()


def _mode_here() -> Mode:
    """What "auto" is."""
    if "IPython" in sys.modules:
        from rich.console import Console

        if Console().is_jupyter:
            return "bars" if find_spec("ipywidgets") else "quiet"
    if sys.stderr is None:  # a program without a console
        return "quiet"
    return "bars" if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else "lines"


def duration(seconds: float) -> str:
    """Seconds as people read them.

    Example:
        >>> [duration(s) for s in (0.04, 12.34, 100, 250, 9000)]
        ['0.0 s', '12.3 s', '100 s', '4 min', '2 h 30 min']
    """
    if seconds < 120:
        return f"{seconds:.{1 if seconds < 99.95 else 0}f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _now() -> float:
    return time.monotonic()


@dataclass
class _Cell:
    """One piece of work that has begun; `told` is when something of it was last shown."""

    title: str
    steps: int | None
    weight: float
    begun: float
    told: float
    step: int = 0

    @property
    def part(self) -> float:
        """Share that is done."""
        return min(1.0, self.step / self.steps) if self.steps else 0.0


class Progress:
    """Counts cells, several of which may go on at once; this one shows nothing.

    Attributes:
        done, total: cells that have ended, and all.
    """

    def __init__(self) -> None:
        self.done = self.total = 0
        self._begun = _now()
        self._seconds: float | None = None
        self._weights: dict[Hashable, float] = {}
        self._weight = self._ended_weight = 0.0
        self._cells: dict[Hashable, _Cell] = {}

    def run(
        self,
        total: int,
        seconds: float | None = None,
        weights: Mapping[Any, float] | None = None,
    ) -> Progress:
        """Count `total` cells from now on; returns this.

        Args:
            seconds: estimate for all of them together.
            weights: share of the work of each cell by its key, in any unit; all alike by default.
        """
        self.done, self.total, self._cells = 0, total, {}
        self._begun, self._seconds, self._weights = _now(), seconds, dict(weights or {})
        self._weight = sum(self._weights.values()) if weights else float(total)
        self._ended_weight = 0.0
        self._started()
        return self

    def begin(self, key: Hashable, title: str, steps: int | None = None) -> None:
        """A cell begins, of so many steps if that is known."""
        now = _now()
        weight = self._weights.get(key, 0.0 if self._weights else 1.0)
        self._cells[key] = _Cell(title, steps, weight, now, now)
        self._began(key, self._cells[key])

    def step(self, key: Hashable, done: int, steps: int | None = None) -> None:
        """How many steps of a cell are done; their number may change."""
        if cell := self._cells.get(key):
            cell.step, cell.steps = done, steps or cell.steps
            self._stepped(key, cell)

    def end(
        self,
        key: Hashable,
        title: str,
        status: str = "done",
        seconds: float | None = None,
        note: str = "",
    ) -> None:
        """A cell is over, whether its begin was seen or not; `seconds` since then by default."""
        if key not in self._cells:
            self.begin(key, title)
        cell = self._cells.pop(key)
        self.done += 1
        self._ended_weight += cell.weight
        self._ended(key, cell, status, _now() - cell.begun if seconds is None else seconds, note)

    def say(self, sentence: str) -> None:
        """A line of its own, such as which stage begins."""

    @property
    def remaining(self) -> float | None:
        """Seconds that the rest will take, by the cells so far and the estimate; None: unknown."""
        if not self.total:
            return None
        elapsed, seconds = _now() - self._begun, self._seconds
        done = self._weight_done
        if not done:
            return None if seconds is None else max(0.0, seconds - elapsed)
        left = max(0.0, self._weight - done)
        if seconds is None:
            return left * elapsed / done
        return left * (elapsed + PRIOR * seconds) / (done + PRIOR * self._weight)

    @property
    def _weight_done(self) -> float:
        return self._ended_weight + sum(c.weight * c.part for c in self._cells.values())

    def _left(self) -> str:
        """The remaining time in words; empty at the end and where it is unknown."""
        seconds = self.remaining
        return f"about {duration(seconds)} left" if seconds and self.done < self.total else ""

    def _started(self) -> None: ...
    def _began(self, key: Hashable, cell: _Cell) -> None: ...
    def _stepped(self, key: Hashable, cell: _Cell) -> None: ...
    def _ended(
        self, key: Hashable, cell: _Cell, status: str, seconds: float, note: str
    ) -> None: ...


class _Lines(Progress):
    """A line for each cell that ends, and now and then for one that goes on."""

    def say(self, sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)

    def _stepped(self, key: Hashable, cell: _Cell) -> None:
        now = _now()
        if now - cell.told >= LINE_SECONDS:
            cell.told = now
            so_far = f"{cell.part:.0%}" if cell.steps else f"{cell.step:,} so far"
            self.say(_joined(f"{cell.title}: {so_far}", self._left()))

    def _ended(self, key: Hashable, cell: _Cell, status: str, seconds: float, note: str) -> None:
        self.say(self._line(cell, status, seconds, note))

    def _line(self, cell: _Cell, status: str, seconds: float, note: str) -> str:
        state = f"{status} ({note})" if note else status
        line = f"{self.done}/{self.total} {cell.title}: {state}"
        return _joined(line, duration(seconds), self._left())


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


class _Json(Progress):
    """A JSON object on each line."""

    def say(self, sentence: str) -> None:
        self._tell("say", text=sentence)

    def _started(self) -> None:
        self._tell("run")

    def _began(self, key: Hashable, cell: _Cell) -> None:
        self._tell("begin", cell=cell.title)

    def _stepped(self, key: Hashable, cell: _Cell) -> None:
        now = _now()
        if now - cell.told >= EVENT_SECONDS:
            cell.told = now
            self._tell("advance", cell=cell.title, step=cell.step, steps=cell.steps)

    def _ended(self, key: Hashable, cell: _Cell, status: str, seconds: float, note: str) -> None:
        self._tell("done", cell=cell.title, status=status, note=note, seconds=round(seconds, 3))

    def _tell(self, event: str, **facts: object) -> None:
        left = self.remaining
        facts = {"event": event, **facts, "done": self.done, "total": self.total}
        facts["remaining"] = None if left is None else round(left, 1)
        print(json.dumps(facts), file=sys.stderr, flush=True)


class _Bars(_Lines):
    """A bar over all cells, one for each that goes on, and a line where there is more to tell."""

    def __init__(self, rich: RichProgress) -> None:
        super().__init__()
        self._rich = rich
        self._tasks: dict[Hashable, TaskID] = {}
        self._all: TaskID | None = None

    def say(self, sentence: str) -> None:
        self._rich.console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    def _started(self) -> None:
        for task in self._rich.task_ids:
            self._rich.remove_task(task)
        self._tasks = {}
        self._all = None
        if self.total > 1:
            self._all = self._rich.add_task("all", total=self._weight, count="", left="")
            self._show_all()

    def _began(self, key: Hashable, cell: _Cell) -> None:
        self._tasks[key] = self._rich.add_task(cell.title, total=cell.steps, count="", left="")

    def _stepped(self, key: Hashable, cell: _Cell) -> None:
        count = f"{cell.step:,}/{cell.steps:,}" if cell.steps else f"{cell.step:,}"
        left = "" if self._all is not None else self._left()
        self._rich.update(
            self._tasks[key], completed=cell.step, total=cell.steps, count=count, left=left
        )
        self._show_all()

    def _ended(self, key: Hashable, cell: _Cell, status: str, seconds: float, note: str) -> None:
        self._rich.remove_task(self._tasks.pop(key))
        self._show_all()
        if status != "done" or note:
            self.say(self._line(cell, status, seconds, note))

    def _show_all(self) -> None:
        if self._all is not None:
            count, left = f"{self.done}/{self.total}", self._left()
            self._rich.update(self._all, completed=self._weight_done, count=count, left=left)


@contextmanager
def _bars(console: Console) -> Iterator[_Bars]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(20), TextColumn("{task.fields[count]}", markup=False), TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", markup=False),
        TextColumn("{task.description}", markup=False),
    )  # fmt: skip
    # what a command prints stays on standard output where that is a file or a pipe
    to_terminal = sys.stdout is not None and sys.stdout.isatty()
    with Progress(*columns, console=console, transient=True, redirect_stdout=to_terminal) as rich:
        yield _Bars(rich)
