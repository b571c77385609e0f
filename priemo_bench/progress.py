"""Progress of a run on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(total: int, shown: bool = True) -> Iterator[Callable[[str], None]]:
    """A bar over `total` cells; call what it yields with the title of each finished one."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    )  # fmt: skip
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not shown or total == 0) as progress:
        task = progress.add_task("cells", total=total)

        def done(title: str) -> None:
            progress.update(task, advance=1, description=title)
            if not console.is_terminal and shown:
                console.print(f"{progress.tasks[0].completed:.0f}/{total} {title}", highlight=False)

        yield done
