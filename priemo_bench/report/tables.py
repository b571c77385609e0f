"""The tables of a report, each in one place: its entry in TABLES.

The page, the csv files and the terminal are made from TABLES alone: a new table is one more entry.
Naming them needs no pandas; computing them does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from priemo_bench.contracts.budgets import kind
from priemo_bench.judge.columns import CURVES
from priemo_bench.report import views
from priemo_bench.report.views import View

if TYPE_CHECKING:
    import pandas as pd

    from priemo_bench.judge.leaderboard import Tables


@dataclass(frozen=True)
class ReportTable:
    """A table of a report.

    Attributes:
        name: of its csv file. csv: whether it is written to one.
        compute: from the tables of a run to the lines of this one.
        views: how the page shows it, if it does.
    """

    name: str
    compute: Callable[[Tables], pd.DataFrame]
    views: tuple[View, ...] = ()
    csv: bool = True


def curve_points(tables: Tables) -> pd.DataFrame:
    """`judge.curves` of the data sets and measures with several floors."""
    import pandas as pd

    kinds = Counter(map(kind, tables.rows.budgets))
    if max(kinds.values()) < 2:
        return pd.DataFrame(columns=[*CURVES, *tables.rows.further_metrics])
    from priemo_bench.judge.curves import curves

    table = curves(tables)
    floors = table.groupby(["dataset", "measure"])["budget"].transform("nunique")
    return table[floors > 1].reset_index(drop=True)


def optimality_of(tables: Tables) -> pd.DataFrame:
    """`judge.optimality` of a run with several SSIM floors; no line otherwise."""
    from priemo_bench.judge.optimality import optimality

    return optimality(tables)


TABLES = (
    ReportTable("methods", lambda tables: tables.methods(), views.METHODS),
    ReportTable("usability", lambda tables: tables.usability(), views.USABLE, csv=False),
    ReportTable("leaderboard", lambda tables: tables.leaderboard()),
    ReportTable("curves", curve_points),
    ReportTable("optimality", optimality_of),
    ReportTable("transfer", lambda tables: tables.transfer()),
    ReportTable("defenses", lambda tables: tables.defenses()),
    ReportTable("defended_methods", lambda tables: tables.defended_methods(), csv=False),
    ReportTable("filters", lambda tables: tables.filters(), csv=False),
    ReportTable("victims", lambda tables: tables.victims(), views.VICTIMS, csv=False),
    ReportTable("costs", lambda tables: tables.costs()),
    ReportTable("failures", lambda tables: tables.failures(), views.FAILURES),
    ReportTable("code", lambda tables: tables.code(), csv=False),
)
"""All tables of a report, in the order of the page."""
