"""What the terminal shows at the end of a command."""

from __future__ import annotations

from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from priemo_bench.report import tables as shown

SHORT = [
    "rank", "attack", "scope", "protection %", "transfer %", "budget used (on floor)", "within",
]  # fmt: skip


def summary(results: Any) -> None:
    """The methods under the equal budget, failures, and where the rest is: from the files."""
    console = Console()
    methods = pd.read_csv(results.out / "methods.csv", keep_default_na=False, na_values=[""])
    if len(methods):
        for dataset, part in methods.groupby("dataset", sort=False):
            for budget in ("equal", "equal-psnr"):
                own = part[(part["budget"] == budget) & ~part["targeted"]]
                if len(own):
                    _print(
                        console, shown.methods(own)[SHORT], f"{dataset}, {shown.BUDGETS[budget]}"
                    )
    failed = pd.read_csv(results.out / "failures.csv", keep_default_na=False)
    if len(failed):
        _print(console, shown.failures(failed), f"{len(failed)} failed cells")
    console.print(str(results.out / "README.md"), highlight=False)


def comparison(table: pd.DataFrame) -> None:
    """What changed between two runs."""
    _print(Console(), shown.changes(table), "new minus old")


def _print(console: Console, table: pd.DataFrame, title: str) -> None:
    drawn = Table(title=title)
    for name in table.columns:
        drawn.add_column(str(name))
    for line in table.itertuples(index=False):
        drawn.add_row(*(str(cell) for cell in line))
    console.print(drawn, highlight=False)
