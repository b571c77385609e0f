"""Progress of a run on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


class Bar:
    """Shows cells on a rich progress bar, or as lines without a terminal; None is silent."""

    def __init__(self, progress: Progress | None, total: int = 0) -> None:
        self.progress, self.total, self.count = progress, total, 0
        self.task = progress.add_task("", total=total) if progress is not None else None

    def begin(self, title: str) -> None:
        """A cell begins."""
        if self.progress is not None and self.task is not None:
            self.progress.update(self.task, description=title)

    def done(self, title: str) -> None:
        """A cell is done."""
        self.count += 1
        if self.progress is None or self.task is None:
            return
        self.progress.update(self.task, completed=self.count)
        if not self.progress.console.is_terminal:
            line = f"{self.count}/{self.total} {title}"
            self.progress.console.print(line, highlight=False, soft_wrap=True)


@contextmanager
def bar(total: int, shown: bool = True) -> Iterator[Bar]:
    """A bar over `total` cells, on standard error."""
    if not shown or total == 0:
        yield Bar(None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bar(progress, total)
