"""What `compare` prints: the rows that changed, and one sentence on all."""

from __future__ import annotations

import sys

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from priemo_bench.judge.compare import VERDICTS, sentence
from priemo_bench.report.columns import FORMATTERS
from priemo_bench.report.formatting import Line, decimal, lines_of, one_line, percent, unknown

ABSENT = "-"


def comparison(table: pd.DataFrame, everything: bool = False) -> None:
    """Print what changed between two runs, from `priemo_bench.judge.compare.compared`.

    Names are never cut: a narrow terminal folds them, a pipe gets lines as long as they are.

    Args:
        everything: rows that agree, too.
    """
    console = Console() if sys.stdout.isatty() else Console(width=1000)
    shown = table if everything else table[table["verdict"] != "same"]
    for (dataset, budget), part in shown.groupby(["dataset", "budget"], sort=False, observed=True):
        heading = FORMATTERS["budget"]({"budget": budget})
        console.print(_drawn(part, one_line(f"{dataset}, {heading}")), highlight=False)
    for note in (*table.attrs.get("notes", ()), sentence(table)):
        console.print(one_line(note), markup=False, highlight=False)


def _drawn(part: pd.DataFrame, title: str) -> Table:
    lines = lines_of(part)
    rows = [_cells(line) for line in lines]
    kept = [name for name in rows[0] if any(row[name] != ABSENT for row in rows)]
    drawn = Table(
        title=Text(title, "bold"), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for name in kept:
        number = name not in ("attack", "on", "target", "what")
        drawn.add_column(name, overflow="fold", justify="right" if number else "left")
    for row in rows:
        drawn.add_row(*(Text(one_line(row[name])) for name in kept))
    return drawn


def _cells(line: Line) -> dict[str, str]:
    rates = [percent(line[name]) for name in ("rate_old", "rate_new")]
    return {
        "attack": FORMATTERS["attack"](line),
        "on": str(line["surrogate"]),
        "target": str(line["target"]),
        "rank": _pair([_rank(line["rank_old"]), _rank(line["rank_new"])]),
        "protection %": _pair(rates),
        "new minus old": _change(line),
        "p (Holm)": decimal(line["p"], 3),
        "what": VERDICTS[line["verdict"]],
    }


def _rank(value: object) -> str:
    return ABSENT if pd.isna(value) else str(int(value))  # type: ignore[call-overload]


def _change(line: Line) -> str:
    """ "-4.5 [-7.1, -1.9]", in points."""
    if unknown(line["change"]):
        return ABSENT
    found = f"{100 * line['change']:+.1f}"
    bounds = [line["change_low"], line["change_high"]]
    return found if any(map(unknown, bounds)) else f"{found} [{', '.join(map(percent, bounds))}]"


def _pair(texts: list[str]) -> str:
    """ "1 > 2", or the one text where both are alike."""
    return texts[0] if texts[0] == texts[1] else " > ".join(texts)
