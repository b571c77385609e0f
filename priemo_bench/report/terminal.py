"""What the terminal shows at the end of a command; from csv files alone, without pandas."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import inf, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from priemo_bench.errors import PriemoError
from priemo_bench.judge.columns import WHOLE
from priemo_bench.judge.glossary import HIGHER, TEXT, column
from priemo_bench.progress import duration
from priemo_bench.registry import unknown
from priemo_bench.report.columns import behind
from priemo_bench.report.files import README
from priemo_bench.report.formatting import (
    TextTable,
    lines_of,
    one_line,
    percent,
)
from priemo_bench.report.tables import TABLES
from priemo_bench.report.views import CELL, View, sections

if TYPE_CHECKING:
    import pandas as pd

SORTABLE = (
    "rank", "attack", "protection %", "survival %", "worst filter %", "transfer %",
    "budget used % (on floor)", "SSIM", "PSNR", "ms/image",
)  # fmt: skip
"""Headings that the methods can be sorted by."""
THREAT = "threat model"
"""What ranks restart for: each has a table of its own in the terminal."""
PIPE_WIDTH = 160
"""Letters of a line where the output goes into a file."""
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


class Outcome(NamedTuple):
    """How many cells of a run failed, and how many have lost a part."""

    failed: int
    incomplete: int


def sort_heading(name: str) -> str:
    """The heading that `summary` sorts by, from a column's name ("psnr") or its heading ("PSNR").

    Raises:
        PriemoError: methods cannot be sorted by it.

    Example:
        >>> sort_heading("survival"), sort_heading("PSNR")
        ('survival %', 'PSNR')
    """
    known = {behind(heading)[0].name: heading for heading in SORTABLE}
    if name not in known and name not in SORTABLE:
        raise unknown("columns", name, known)
    return known.get(name, name)


def summary(out: Path, by: str = "") -> Outcome:
    """Print the methods under each equal budget and what failed, from the csv files in `out`.

    Args:
        by: the heading that methods are sorted by, best first (`sort_heading`); rank when empty.

    Raises:
        PriemoError: a csv file is missing or damaged.
    """
    console = _console()
    shown = [table for table in TABLES if any(view.terminal for view in table.views)]
    try:
        lines = {table.name: list(_read(out / f"{table.name}.csv")) for table in shown}
        views = [(_with(view, by), lines[table.name]) for table in shown for view in table.views]
        found = sections(views, terminal=True)
        outcome = _outcome(lines.get("failures", []))
    except (KeyError, TypeError, ValueError, OSError, csv.Error):
        raise PriemoError(
            f"a table in {out} is missing or damaged; `priemo-bench report {out}` writes it again"
        ) from None
    for section in found:
        for title, table in _by_threat(section.title, section.table):
            _print(console, _sorted(table, by), title)
    if any(outcome):
        console.print(f"{outcome.failed} cells failed, {outcome.incomplete} are incomplete")
    console.print(str(out / README), markup=False, highlight=False)
    return outcome


def _with(view: View, heading: str) -> View:
    """The view with one more column in the terminal, where it is one of methods."""
    if not heading or THREAT not in view.terminal or heading in view.terminal:
        return view
    return replace(view, terminal=(*view.terminal, heading))


def _sorted(table: TextTable, heading: str) -> TextTable:
    """Rows by the first number (or the text) under a heading, the best first, unknown last."""
    if heading not in table.headings:
        return table
    at = table.headings.index(heading)
    falling = behind(heading)[0].direction == HIGHER

    def place(row: Sequence[str]) -> tuple[bool, float, str]:
        found = _NUMBER.match(row[at])
        value = float(found.group()) if found else inf if row[at] == "inf" else nan
        if behind(heading)[0].unit == TEXT:
            return False, 0.0, row[at]
        return value != value, -value if falling else value, ""

    return TextTable(table.headings, sorted(table.rows, key=place))


def _by_threat(title: str, table: TextTable) -> Iterator[tuple[str, TextTable]]:
    """A table for each threat model, whose ranks are its own."""
    if THREAT not in table.headings:
        yield title, table
        return
    at = table.headings.index(THREAT)
    headings = [heading for heading in table.headings if heading != THREAT]
    for threat in dict.fromkeys(row[at] for row in table.rows):
        rows = [[*row[:at], *row[at + 1 :]] for row in table.rows if row[at] == threat]
        yield f"{title}; {threat}", TextTable(headings, rows)


def _read(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file, strict=True):
            yield {name: _value(name, text) for name, text in line.items()}


def _value(name: str, text: str) -> Any:
    if column(name).unit == TEXT:
        return str(text)
    if text in ("True", "False"):
        return text == "True"
    if not text:
        return float("nan")
    return int(text) if text.lstrip("-").isdecimal() else float(text)


def _outcome(failures: list[dict[str, Any]]) -> Outcome:
    whole_cells = sum(line["part"] == WHOLE for line in failures)
    keys = (*CELL, "family", "scope", "scale")
    parts = {tuple(line[key] for key in keys) for line in failures if line["part"] != WHOLE}
    return Outcome(whole_cells, len(parts))


def plan(table: pd.DataFrame, out: Path) -> None:
    """What `priemo_bench.Benchmark.plan` says: open cells by what is to be done and why."""
    console = _console()
    waiting = table[table["todo"] != "nothing"]
    shown = TextTable(
        ["cells", "attack", "to do", "why", "about"],
        [
            [str(len(group)), str(attack), str(todo), str(why), duration(group["seconds"].sum())]
            for (attack, todo, why), group in waiting.groupby(["attack", "todo", "why"], sort=False)
        ],
    )
    if len(waiting):
        _print(console, shown, f"to run in {out}")
    kept, seconds = len(table) - len(waiting), waiting["seconds"].sum()
    console.print(
        f"{len(waiting)} cells to run, about {duration(seconds)} in one process and "
        f"{table.attrs['megabytes']:,.0f} MB in each; {kept} are kept",
        highlight=False,
    )


def stages(table: pd.DataFrame) -> None:
    """What `priemo_bench.benchmark.profile` found."""
    console = _console()
    rows = [
        [str(line["stage"]), f"{line['seconds']:.1f}", percent(line["share"])]
        for line in lines_of(table)
    ]
    _print(console, TextTable(["stage", "seconds", "%"], rows), "where the time goes")
    facts = table.attrs
    times = f"{facts['wall'] / facts['bare']:.2f} times" if facts["bare"] else "beside"
    console.print(
        f"{facts['wall']:.1f} s in all, {times} the "
        f"{facts['bare']:.1f} s of its bare passes ({facts['forwards']:,} images forward, "
        f"{facts['backwards']:,} backward)",
        highlight=False,
    )


def _console() -> Console:
    """As wide as the terminal; where there is none, wide enough for names in one line."""
    console = Console()
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(width=PIPE_WIDTH)


def _print(console: Console, table: TextTable, title: str) -> None:
    console.print(Text(one_line(title), "table.title"))
    drawn = Table()
    for name in table.headings:
        drawn.add_column(Text(one_line(name)), overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(one_line(cell)) for cell in row))
    console.print(drawn, highlight=False)
