"""What the terminal shows at the end of a command."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from priemo_bench.report.formatting import BUDGET_NAMES, decimal, formatted, percent, whole
from priemo_bench.report.tables import TABLES, sections


def summary(out: Path) -> None:
    """The methods under each equal budget and what failed, from the csv files in `out`."""
    console = Console()
    shown = [table for table in TABLES if any(view.terminal for view in table.views)]
    frames = {
        table.name: pd.read_csv(out / f"{table.name}.csv", keep_default_na=False, na_values=[""])
        for table in shown
    }
    for section in sections(shown, frames, terminal=True):
        _print(console, section.table, section.title)
    console.print(str(out / "README.md"), highlight=False)


def comparison(table: pd.DataFrame) -> None:
    """What changed between two runs, from `priemo_bench.judge.compare.compared`."""
    shown = formatted(
        table,
        {
            "budget": lambda r: BUDGET_NAMES[r["budget"]],
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
    _print(Console(), shown, "new minus old")


def _change(line: pd.Series) -> str:
    return (
        f"{percent(line['change'])} [{percent(line['change_low'])}, {percent(line['change_high'])}]"
    )


def _print(console: Console, table: pd.DataFrame, title: str) -> None:
    drawn = Table(title=title)
    for name in table.columns:
        drawn.add_column(str(name))
    for line in table.itertuples(index=False):
        drawn.add_row(*(str(cell) for cell in line))
    console.print(drawn, highlight=False)
