"""How the page and the terminal show tables: some lines of one, written for a reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from priemo_bench.contracts.budgets import CONVENTIONAL, EQUAL, EQUAL_PSNR, kind
from priemo_bench.judge.columns import USABILITY, WHOLE
from priemo_bench.judge.levels import EXACT_BELOW, MIN_USED
from priemo_bench.report.columns import columns, method_name
from priemo_bench.report.formatting import (
    Formatter,
    Line,
    TextTable,
    decimal,
    formatted,
    pivoted,
    rate,
    unknown,
)

Lines = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class View:
    """A section of the page: some lines of a table, written for a reader.

    Attributes:
        title: its heading; "{floor}" is the floor of its budget. text: what stands below it; "{n}"
            is the number of lines.
        show: from these lines to a table of texts.
        select: whether a line is one of them; all are by default. Without a line there is no
            section.
        per_dataset: whether each data set (column "dataset") has a section of its own.
        per_budget: whether each budget has; there, methods without effect are named only.
        page: columns of the texts that the page shows, where it does not show all.
        terminal: columns of the texts that the terminal shows too; none by default.
    """

    title: str
    show: Callable[[Lines], TextTable]
    text: str = ""
    select: Callable[[Line], bool] | None = None
    per_dataset: bool = True
    per_budget: bool = False
    page: tuple[str, ...] = ()
    terminal: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """A heading of the page, the text below it, a table of texts, and what stands below that."""

    title: str
    text: str
    table: TextTable
    foot: str = ""


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
    found: list[Section] = []
    for part in _by_budget(lines) if view.per_budget else [lines]:
        weak = [] if terminal or not view.per_budget else [r for r in part if not has_effect(r)]
        table = view.show([line for line in part if line not in weak])
        wanted = view.terminal if terminal else view.page or table.headings
        table = table.only([heading for heading in wanted if heading in table.headings])
        named = view.title.format(floor=floor_of(part[0])) if view.per_budget else view.title
        text = "" if found else view.text.format(n=len(part))  # said once
        found.append(Section(named + at, text, table, _without_effect(weak)))
    return found


def _by_budget(lines: Lines) -> list[Lines]:
    """Lines of each budget, the highest floor first."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        found.setdefault(str(line["budget"]), []).append(line)

    def floor(part: Lines) -> float:
        line = part[0]
        return -max((f for f in (line["ssim_floor"], line["psnr_floor"]) if f == f), default=0.0)

    return sorted(found.values(), key=floor)


def floor_of(line: Line) -> str:
    """The floor that a line keeps, in words.

    Example:
        >>> nan = float("nan")
        >>> floor_of({"ssim_floor": 0.98, "psnr_floor": nan, "eps": 16 / 255})
        'SSIM at least 0.98, no pixel moved by more than 16 of 255'
    """
    ssim, psnr, eps = (line[name] for name in ("ssim_floor", "psnr_floor", "eps"))
    parts = [] if unknown(ssim) else [f"SSIM at least {ssim:g}"]
    parts += [] if unknown(psnr) else [f"PSNR at least {psnr:g} dB"]
    parts += [] if unknown(eps) else [f"no pixel moved by more than {255 * eps:.4g} of 255"]
    return ", ".join(parts) or "no bound"


EFFECT = 0.01
"""A method that protects a smaller share than this, on its victims and on others, has no effect."""


def has_effect(line: Line) -> bool:
    """Whether a method protects EFFECT of the faces, on its own victims or on others."""
    return any(line[name] >= EFFECT for name in ("protection_rate", "transfer_rate"))


def _without_effect(lines: Lines) -> str:
    names = [method_name(line).removesuffix(", scaled per image") for line in lines]
    return f"No effect (below 1 %): {'; '.join(dict.fromkeys(names))}." if lines else ""


def _untargeted(of: str) -> Callable[[Line], bool]:
    return lambda line: kind(line["budget"]) == of and not line["targeted"]


def _nonzero(lines: Lines) -> Lines:
    """Without perturbations that are zero at the one strength that keeps the budget."""
    return [line for line in lines if line["scale"] != "one" or line["untouched"] != 1]


def _methods(lines: Lines) -> TextTable:
    """Methods of one budget, pooled over surrogates, best first."""

    def place(line: Line) -> tuple[float, float]:
        return (10**6 if unknown(line["rank"]) else line["rank"]), -line["protection_rate"]

    order = sorted(sorted(lines, key=place), key=lambda line: str(line["threat"]), reverse=True)
    survived = not all(unknown(line["survival"]) for line in lines)
    shown = columns(
        "rank", "attack", "scope", "threat model", "protection %",
        *(("survival %", "worst filter %") if survived else ()), "transfer %",
        "budget used % (on floor)", "SSIM", "PSNR", "within", "ms/image",
    )  # fmt: skip
    return formatted(_nonzero(order), shown)


def _targeted_methods(lines: Lines) -> TextTable:
    """Targeted methods, pooled over surrogates and targets."""
    shown = columns(
        "attack", "scope", "targeted %", "protection %", "transfer %", "next victim %",
        "budget used % (on floor)", "SSIM", "within", "n",
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
    "rank", "attack", "scope", "threat model", "protection %", "survival %", "transfer %", "within",
)  # fmt: skip
"""Columns of the methods in the terminal."""
READ = (
    "rank", "attack", "scope", "threat model", "protection %", "survival %", "worst filter %",
    "transfer %", "SSIM", "PSNR", "ms/image",
)  # fmt: skip
"""Columns of the methods in README.md."""

METHODS = (
    View(
        "Equal quality: {floor}",
        _methods,
        "Each method pooled over its surrogates. Rows of one rank and threat model: no two of them "
        "differ by the paired test on the images and victims they share (of the resampled table "
        f"statistic, or exact where fewer than {EXACT_BELOW} clusters differ; Holm's correction). "
        "Not ranked: rows that do not keep the floor, and attacks with surrogates that leave more "
        f"than {100 * (1 - MIN_USED):.0f} % of the budget unused.",
        _untargeted(EQUAL),
        per_budget=True,
        page=READ,
        terminal=SHORT,
    ),
    View(
        "Equal energy: {floor}",
        _methods,
        "The same methods projected onto a PSNR floor instead: each image has the same mean "
        "squared error.",
        _untargeted(EQUAL_PSNR),
        per_budget=True,
        page=READ,
        terminal=SHORT,
    ),
    View(
        "Usual settings",
        _methods,
        "The same methods at the settings they are usually run with.",
        _untargeted(CONVENTIONAL),
        per_budget=True,
        page=READ,
    ),
    View(
        "Targeted: {floor}",
        _targeted_methods,
        "Mean over the targets, of the faces neither labelled nor classified as the target when "
        "clean.",
        lambda line: bool(line["targeted"]),
        per_budget=True,
    ),
)
USABLE = (
    View(
        "Usability",
        _usability,
        "Means over the published images; protection of the white-box victims, or of all.",
    ),
)
VICTIMS = (
    View(
        "Clean accuracy of the victims, %",
        _victims,
        select=lambda line: line["defense"] == "none",
        per_dataset=False,
    ),
)
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
