"""The tables of a report, each in one place: its entry in TABLES.

The page, the csv files and the terminal are made from TABLES alone: a new table is one more entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from priemo_bench.judge.difference import EXACT_BELOW
from priemo_bench.judge.leaderboard import USABILITY, Tables
from priemo_bench.judge.ranking import MIN_USED
from priemo_bench.report.columns import columns, method_name
from priemo_bench.report.formatting import (
    Formatter,
    decimal,
    formatted,
    percent,
    pivoted,
    rate,
    whole,
)


@dataclass(frozen=True)
class View:
    """A section of the page: some lines of a table, written for a reader.

    Attributes:
        title: its heading. text: what stands below it; "{n}" is the number of lines.
        show: from these lines to a table of texts.
        select: which lines of the table; all by default. Without a line there is no section.
        per_dataset: whether each data set (column "dataset") has a section of its own.
        terminal: columns of the texts that the terminal shows too; none by default.
    """

    title: str
    show: Callable[[pd.DataFrame], pd.DataFrame]
    text: str = ""
    select: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    per_dataset: bool = True
    terminal: tuple[str, ...] = ()


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


@dataclass(frozen=True)
class Section:
    """A heading of the page, the text below it, and a table of texts."""

    title: str
    text: str
    table: pd.DataFrame


def sections(
    tables: Sequence[ReportTable], frames: Mapping[str, pd.DataFrame], terminal: bool = False
) -> list[Section]:
    """What there is to show, data set by data set; what is not per data set comes last.

    Args:
        frames: the lines of each table, by name. terminal: only what the terminal shows.
    """
    views = [(view, frames[table.name]) for table in tables for view in table.views]
    views = [(view, lines) for view, lines in views if len(lines)]
    split = [lines["dataset"] for view, lines in views if view.per_dataset]
    datasets = sorted({name for names in split for name in names})
    found = []
    for dataset in datasets:
        at = f" on {dataset}" if len(datasets) > 1 else ""
        for view, lines in views:
            if view.per_dataset:
                found += _section(view, lines[lines["dataset"] == dataset], at, terminal)
    for view, lines in views:
        if not view.per_dataset:
            found += _section(view, lines, "", terminal)
    return found


def _section(view: View, lines: pd.DataFrame, at: str, terminal: bool) -> list[Section]:
    lines = view.select(lines) if view.select else lines
    if lines.empty or (terminal and not view.terminal):
        return []
    table = view.show(lines)
    table = table[list(view.terminal)] if terminal else table
    return [Section(view.title + at, view.text.format(n=len(lines)), table)]


def _untargeted(budget: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda table: table[(table["budget"] == budget) & ~table["targeted"].astype(bool)]


def _targeted(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["targeted"].astype(bool)]


def _equal_budgets(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["budget"] != "conventional") & (table["status"] != "failed")]


def _nonzero(table: pd.DataFrame) -> pd.DataFrame:
    """Without perturbations that are zero at the one strength that keeps the budget."""
    return table[~((table["scale"] == "one") & (table["untouched"] == 1))]


def _methods(table: pd.DataFrame) -> pd.DataFrame:
    """Methods of one budget, pooled over surrogates, best first."""
    order = table.assign(place=table["rank"].fillna(10**6))
    order = order.sort_values(
        ["threat", "place", "protection_rate"], ascending=[False, True, False], kind="stable"
    )
    other: dict[str, Formatter] = {}
    if order["rank_other"].notna().any():
        measure = "PSNR" if (order["budget"] == "equal").all() else "SSIM"
        other = {f"rank at equal {measure}": lambda r: whole(r["rank_other"])}
    shown = columns(
        "attack", "scope", "threat model", "protection %", "worst surrogate", "macro %",
        "transfer %", "next victim", "without kin", "minus noise", "budget used (on floor)",
        "SSIM", "worst SSIM", "PSNR", "within", "ms/image", "passes f+b", "fit s", "n", "seeds",
    )  # fmt: skip
    return formatted(_nonzero(order), {**columns("rank"), **other, **shown})


def _targeted_methods(table: pd.DataFrame) -> pd.DataFrame:
    """Targeted methods, pooled over surrogates and targets."""
    shown = columns(
        "attack", "scope", "targeted %", "protection %", "transfer %", "next victim",
        "budget used (on floor)", "SSIM", "within", "n",
    )  # fmt: skip
    return formatted(table.sort_values("targeted_rate", ascending=False), shown)


def _usability(table: pd.DataFrame) -> pd.DataFrame:
    """Methods with the further metrics of a run."""

    def metric(name: str) -> Formatter:
        return lambda r: decimal(r[name], 3)

    shown = columns("budget", "attack", "scope", "protection %", "SSIM", "PSNR")
    metrics = {name: metric(name) for name in table.columns.drop(USABILITY)}
    return formatted(table, {**shown, **metrics})


def _rows(table: pd.DataFrame) -> pd.DataFrame:
    """The leaderboard row by row: one line per surrogate and target."""
    shown = columns(
        "rank", "budget", "attack", "scope", "surrogate", "target", "protection %", "macro %",
        "targeted %", "transfer %", "without kin", "worst SSIM", "within", "used", "eps",
        "seeds (sd)", "flags",
    )  # fmt: skip
    shown["macro %"] = lambda r: percent(r["macro_protection_rate"])
    return formatted(_nonzero(table), shown)


def _defenses(table: pd.DataFrame) -> pd.DataFrame:
    """Protection % by method and defense, pooled over surrogates, untargeted."""
    lines = [line for _, line in table.iterrows()]
    texts = [f"{rate(r)} of {r['n']} (clean {percent(r['clean_accuracy'])})" for r in lines]
    named = table.assign(attack=[method_name(line) for line in lines])
    named = named.rename(columns={"threat": "threat model"})
    return pivoted(named, ["attack", "scope", "threat model"], "defense", texts)


def _victims(table: pd.DataFrame) -> pd.DataFrame:
    """Clean accuracy % of each victim under each defense."""
    lines = table.rename(columns={"low": "correct_low", "high": "correct_high"}).iterrows()
    texts = [rate(line, "correct", "correct") for _, line in lines]
    return pivoted(table, ["dataset", "victim"], "defense", texts)


def _failures(table: pd.DataFrame) -> pd.DataFrame:
    return table[list(FAILURE)].astype(str)


FAILURE = ("dataset", "budget", "attack", "surrogate", "target", "seed", "reason")
SHORT = (
    "rank", "attack", "scope", "protection %", "transfer %", "budget used (on floor)", "within",
)  # fmt: skip
"""Columns of the methods in the terminal."""

METHODS = (
    View(
        "Equal quality: one SSIM floor",
        _methods,
        "Each method pooled over its surrogates. Rows of one rank: no two of them differ by the "
        "paired test on the images and victims they share (of the resampled table statistic, or "
        f"exact where fewer than {EXACT_BELOW} clusters differ; Holm's correction over all pairs "
        "of a threat model). Not ranked: rows that do not keep the budget, and attacks with "
        f"surrogates that leave more than {100 * (1 - MIN_USED):.0f} % of it unused (unless with "
        "all of it used they protect less).",
        _untargeted("equal"),
        terminal=SHORT,
    ),
    View(
        "Equal energy: one PSNR floor",
        _methods,
        "The same methods projected onto a PSNR floor instead: each image has the same mean "
        "squared error. Ranks as above.",
        _untargeted("equal-psnr"),
        terminal=SHORT,
    ),
    View(
        "Usual settings",
        _methods,
        "The same methods at the settings they are usually run with.",
        _untargeted("conventional"),
    ),
    View(
        "Targeted",
        _targeted_methods,
        "Mean over the targets, of the faces neither labelled nor classified as the target when "
        "clean.",
        _targeted,
    ),
)
TABLES = (
    ReportTable("methods", Tables.methods, METHODS),
    ReportTable(
        "usability",
        Tables.usability,
        (
            View(
                "Usability",
                _usability,
                "Means over the published images; protection of the white-box victims, or of all.",
            ),
        ),
        csv=False,
    ),
    ReportTable(
        "leaderboard",
        Tables.leaderboard,
        (
            View(
                "Every surrogate and target",
                _rows,
                "The rows of leaderboard.csv under an equal budget; ranks are within budget, "
                "surrogate and target. *eps*: at which the perturbation was computed, in grey "
                "levels, before its projection onto the budget. *Seeds (sd)*: standard deviation "
                "of the rate over seeds.",
                _equal_budgets,
            ),
        ),
    ),
    ReportTable("transfer", Tables.transfer),
    ReportTable("defenses", Tables.defenses),
    ReportTable(
        "defended_methods",
        Tables.defended_methods,
        (
            View(
                "Defenses",
                _defenses,
                "Protection % pooled over surrogates, of the n images that a victim classifies "
                "correctly when clean, under the same defense (*clean*: its accuracy then, %).",
            ),
        ),
        csv=False,
    ),
    ReportTable(
        "victims",
        Tables.victims,
        (View("Clean accuracy of the victims, %", _victims, per_dataset=False),),
        csv=False,
    ),
    ReportTable(
        "failures",
        Tables.failures,
        (
            View(
                "Failures",
                _failures,
                "{n} cells failed; the rest went on.",
                per_dataset=False,
                terminal=FAILURE,
            ),
        ),
    ),
)
"""All tables of a report, in the order of the page."""
