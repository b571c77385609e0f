"""How the page and the terminal show tables: some lines of one, written for a reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from priemo_bench.judge.columns import USABILITY, WHOLE
from priemo_bench.judge.levels import EXACT_BELOW, MIN_USED
from priemo_bench.report.columns import columns, method_name
from priemo_bench.report.formatting import (
    Formatter,
    Line,
    TextTable,
    decimal,
    formatted,
    percent,
    pivoted,
    rate,
    unknown,
    whole,
)

Lines = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class View:
    """A section of the page: some lines of a table, written for a reader.

    Attributes:
        title: its heading. text: what stands below it; "{n}" is the number of lines.
        show: from these lines to a table of texts.
        select: whether a line is one of them; all are by default. Without a line there is no
            section.
        per_dataset: whether each data set (column "dataset") has a section of its own.
        terminal: columns of the texts that the terminal shows too; none by default.
    """

    title: str
    show: Callable[[Lines], TextTable]
    text: str = ""
    select: Callable[[Line], bool] | None = None
    per_dataset: bool = True
    terminal: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """A heading of the page, the text below it, and a table of texts."""

    title: str
    text: str
    table: TextTable


def sections(views: Sequence[tuple[View, Lines]], terminal: bool = False) -> list[Section]:
    """What there is to show, data set by data set; what is not per data set comes last.

    Args:
        views: each with the lines of its table. terminal: only what the terminal shows.
    """
    split = [lines for view, lines in views if view.per_dataset]
    datasets = sorted({str(line["dataset"]) for lines in split for line in lines})
    found = []
    for dataset in datasets:
        at = f" on {dataset}" if len(datasets) > 1 else ""
        for view, lines in views:
            if view.per_dataset:
                own = [line for line in lines if line["dataset"] == dataset]
                found += _section(view, own, at, terminal)
    for view, lines in views:
        if not view.per_dataset:
            found += _section(view, lines, "", terminal)
    return found


def _section(view: View, lines: Lines, at: str, terminal: bool) -> list[Section]:
    lines = [line for line in lines if view.select(line)] if view.select else lines
    if not lines or (terminal and not view.terminal):
        return []
    table = view.show(lines)
    table = table.only(view.terminal) if terminal else table
    return [Section(view.title + at, view.text.format(n=len(lines)), table)]


def _untargeted(budget: str) -> Callable[[Line], bool]:
    return lambda line: line["budget"] == budget and not line["targeted"]


def _equal_budget(line: Line) -> bool:
    return bool(line["budget"] != "conventional" and line["status"] != "failed")


def _nonzero(lines: Lines) -> Lines:
    """Without perturbations that are zero at the one strength that keeps the budget."""
    return [line for line in lines if line["scale"] != "one" or line["untouched"] != 1]


def _methods(lines: Lines) -> TextTable:
    """Methods of one budget, pooled over surrogates, best first."""

    def place(line: Line) -> tuple[float, float]:
        return (10**6 if unknown(line["rank"]) else line["rank"]), -line["protection_rate"]

    order = sorted(sorted(lines, key=place), key=lambda line: str(line["threat"]), reverse=True)
    other: dict[str, Formatter] = {}
    if not all(unknown(line["rank_other"]) for line in order):
        measure = "PSNR" if order[0]["budget"] == "equal" else "SSIM"
        other = {f"rank at equal {measure}": lambda r: whole(r["rank_other"])}
    shown = columns(
        "attack", "scope", "threat model", "protection %", "worst surrogate", "macro %",
        "transfer %", "next victim", "without kin", "minus noise", "budget used (on floor)",
        "SSIM", "worst SSIM", "PSNR", "within", "ms/image", "passes f+b", "fit s", "n", "seeds",
    )  # fmt: skip
    return formatted(_nonzero(order), {**columns("rank"), **other, **shown})


def _survival(lines: Lines) -> TextTable:
    """Methods of one budget under a set of filters, the one that survives best first."""
    shown = columns(
        "attack", "scope", "threat model", "protection %", "survival %", "worst filter",
        "clean cost", "survival n", "SSIM", "PSNR",
    )  # fmt: skip
    order = sorted(lines, key=lambda line: -float(line["survival"]))
    return formatted(_nonzero(order), shown)


def _survivors(line: Line) -> bool:
    return _untargeted("equal")(line) and not unknown(line["survival"])


def _targeted_methods(lines: Lines) -> TextTable:
    """Targeted methods, pooled over surrogates and targets."""
    shown = columns(
        "attack", "scope", "targeted %", "protection %", "transfer %", "next victim",
        "budget used (on floor)", "SSIM", "within", "n",
    )  # fmt: skip

    def place(line: Line) -> float:
        return 1.0 if unknown(line["targeted_rate"]) else -float(line["targeted_rate"])

    return formatted(sorted(lines, key=place), shown)


def _usability(lines: Lines) -> TextTable:
    """Methods with the further metrics of a run."""

    def metric(name: str) -> Formatter:
        return lambda r: decimal(r[name], 3)

    shown = columns("budget", "attack", "scope", "protection %", "SSIM", "PSNR")
    metrics = {name: metric(name) for name in lines[0] if name not in USABILITY}
    return formatted(lines, {**shown, **metrics})


def _rows(lines: Lines) -> TextTable:
    """The leaderboard row by row: one line per surrogate and target."""
    shown = columns(
        "rank", "budget", "attack", "scope", "surrogate", "target", "protection %", "macro %",
        "targeted %", "transfer %", "without kin", "worst SSIM", "within", "used", "eps",
        "seeds (sd)", "flags",
    )  # fmt: skip
    shown["macro %"] = lambda r: percent(r["macro_protection_rate"])
    if any(line["status"] == "incomplete" for line in lines):
        shown["status"] = lambda r: str(r["status"])
    return formatted(_nonzero(lines), shown)


def _defenses(lines: Lines) -> TextTable:
    """Protection % by method and defense, pooled over surrogates, untargeted."""

    def text(line: Line) -> str:
        return f"{rate(line)} of {whole(line['n'])} (clean {percent(line['clean_accuracy'])})"

    index = {**columns("attack", "scope", "threat model"), "attack": method_name}
    return pivoted(lines, index, "defense", text)


def _victims(lines: Lines) -> TextTable:
    """Clean accuracy % of each victim under each defense."""

    def text(line: Line) -> str:
        named = {"correct_low": line["low"], "correct_high": line["high"]}
        return rate({"correct": line["correct"], **named}, "correct", "correct")

    index: dict[str, Formatter] = {
        "dataset": lambda r: str(r["dataset"]), "victim": lambda r: str(r["victim"]),
    }  # fmt: skip
    return pivoted(lines, index, "defense", text)


def _texts(*names: str) -> Callable[[Lines], TextTable]:
    return lambda lines: TextTable(names, [[str(line[name]) for name in names] for line in lines])


CELL = ("dataset", "budget", "attack", "surrogate", "target", "seed")
FAILED, LOST = (*CELL, "reason"), (*CELL, "part", "reason")
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
        "Survival: the victim picks a filter for each image",
        _survival,
        "*Survival*: of the images that a victim classifies correctly when clean under every "
        "filter of a named set, the share protected under every one of them. *Worst filter*: the "
        "lowest protection rate under a single filter of the set, over the images classified "
        "correctly under it. *Clean cost*: points of clean accuracy that a victim gives up who "
        "must classify a face correctly under every filter. The sets are in "
        "`priemo_bench/contracts/filter_sets.py`.",
        _survivors,
        terminal=("attack", "scope", "protection %", "survival %", "worst filter"),
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
        lambda line: bool(line["targeted"]),
    ),
)
USABLE = (
    View(
        "Usability",
        _usability,
        "Means over the published images; protection of the white-box victims, or of all.",
    ),
)
ROWS = (
    View(
        "Every surrogate and target",
        _rows,
        "The rows of leaderboard.csv under an equal budget; ranks are within budget, surrogate and "
        "target. *eps*: at which the perturbation was computed, in grey levels, before its "
        "projection onto the budget. *Seeds (sd)*: standard deviation of the rate over seeds.",
        _equal_budget,
    ),
)
DEFENSES = (
    View(
        "Defenses",
        _defenses,
        "Protection % pooled over surrogates, of the n images that a victim classifies correctly "
        "when clean, under the same defense (*clean*: its accuracy then, %).",
    ),
)
FILTERS = (
    View(
        "What the defenses do",
        _texts("defense", "what", "source"),
        select=lambda line: line["defense"] != "none",
        per_dataset=False,
    ),
)
VICTIMS = (View("Clean accuracy of the victims, %", _victims, per_dataset=False),)
FAILURES = (
    View(
        "Failures",
        _texts(*FAILED),
        "{n} cells failed; the rest went on.",
        lambda line: line["part"] == WHOLE,
        per_dataset=False,
        terminal=FAILED,
    ),
    View(
        "Incomplete cells",
        _texts(*LOST),
        "{n} parts of cells failed. The rest of these cells counts: rates are means over the "
        "victims that are there, metrics over the images that have them.",
        lambda line: line["part"] != WHOLE,
        per_dataset=False,
        terminal=LOST,
    ),
)
CODE = (
    View(
        "Code that made the rows",
        _texts("part", "name", "digest"),
        "Digests of the sources that each part imports, from this project or its own package.",
        lambda line: line["name"] != "-",
        per_dataset=False,
    ),
)
