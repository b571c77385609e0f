"""What the terminal shows at the end of a command; from csv files alone, without pandas."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from priemo_bench.errors import PriemoError
from priemo_bench.judge.columns import WHOLE
from priemo_bench.progress import duration
from priemo_bench.report.files import README
from priemo_bench.report.formatting import (
    BUDGET_NAMES,
    Line,
    TextTable,
    decimal,
    formatted,
    lines_of,
    one_line,
    percent,
    whole,
)
from priemo_bench.report.tables import TABLES
from priemo_bench.report.views import CELL, sections

if TYPE_CHECKING:
    import pandas as pd

TEXTS = {
    "dataset", "budget", "attack", "family", "scope", "scale", "surrogate", "target", "threat",
    "victim", "defense", "status", "flags", "part", "reason", "macro_left_out", "collapse_class",
    "worst_filter", "filter_set",
}  # fmt: skip
"""Columns of csv files that are texts; the others are numbers, or True and False."""


class Outcome(NamedTuple):
    """How many cells of a run failed, and how many have lost a part."""

    failed: int
    incomplete: int


def summary(out: Path) -> Outcome:
    """Print the methods under each equal budget and what failed, from the csv files in `out`.

    Raises:
        PriemoError: a csv file is missing or damaged.
    """
    console = Console()
    shown = [table for table in TABLES if any(view.terminal for view in table.views)]
    try:
        lines = {table.name: list(_read(out / f"{table.name}.csv")) for table in shown}
        views = [(view, lines[table.name]) for table in shown for view in table.views]
        found = sections(views, terminal=True)
        outcome = _outcome(lines.get("failures", []))
    except (KeyError, TypeError, ValueError, OSError, csv.Error):
        raise PriemoError(
            f"a table in {out} is missing or damaged; `priemo-bench report {out}` writes it again"
        ) from None
    for section in found:
        _print(console, section.table, section.title)
    if any(outcome):
        console.print(f"{outcome.failed} cells failed, {outcome.incomplete} are incomplete")
    console.print(str(out / README), markup=False, highlight=False)
    return outcome


def _read(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file, strict=True):
            yield {name: _value(name, text) for name, text in line.items()}


def _value(name: str, text: str) -> Any:
    if name in TEXTS:
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


def comparison(table: pd.DataFrame) -> None:
    """What changed between two runs, from `priemo_bench.judge.compare.compared`."""
    shown = formatted(
        lines_of(table),
        {
            "budget": lambda r: BUDGET_NAMES.get(r["budget"], str(r["budget"])),
            "attack": lambda r: str(r["attack"]),
            "surrogate": lambda r: str(r["surrogate"]),
            "target": lambda r: str(r["target"]),
            "rank": lambda r: f"{whole(r['rank_old'])} > {whole(r['rank_new'])}",
            "old %": lambda r: percent(r["rate_old"]),
            "new %": lambda r: percent(r["rate_new"]),
            "change": _change,
            "p (Holm)": lambda r: decimal(r["p"], 3),
        },
    )
    console = Console()
    _print(console, shown, "new minus old")
    for note in table.attrs.get("notes", ()):
        console.print(one_line(note), markup=False, highlight=False)


def plan(table: pd.DataFrame, out: Path) -> None:
    """What `priemo_bench.Benchmark.plan` says: open cells by what is to be done and why."""
    console = Console()
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
    console = Console()
    rows = [
        [str(line["stage"]), f"{line['seconds']:.1f}", percent(line["share"])]
        for line in lines_of(table)
    ]
    _print(console, TextTable(["stage", "seconds", "%"], rows), "where the time goes")
    facts = table.attrs
    console.print(
        f"{facts['wall']:.1f} s in all, {facts['wall'] / facts['bare']:.2f} times the "
        f"{facts['bare']:.1f} s of its bare passes ({facts['forwards']:,} images forward, "
        f"{facts['backwards']:,} backward)",
        highlight=False,
    )


def _change(line: Line) -> str:
    return (
        f"{percent(line['change'])} [{percent(line['change_low'])}, {percent(line['change_high'])}]"
    )


def _print(console: Console, table: TextTable, title: str) -> None:
    drawn = Table(title=Text(one_line(title), "table.title"))
    for name in table.headings:
        drawn.add_column(Text(one_line(name)))
    for row in table.rows:
        drawn.add_row(*(Text(one_line(cell)) for cell in row))
    console.print(drawn, highlight=False)
