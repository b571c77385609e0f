"""The table of methods on a page: one row for each, which opens into what it pools."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from priemo_bench.contracts.budgets import CONVENTIONAL, EQUAL, EQUAL_PSNR, Bounds, kind
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.judge.methods import method_rows
from priemo_bench.report.columns import method_name
from priemo_bench.report.formatting import Line, lines_of, unknown
from priemo_bench.report.views import floor_of, has_effect
from priemo_bench.report.webtable import (
    Cell,
    Group,
    Head,
    Row,
    WebTable,
    cell,
    heads,
    without_empty,
)

SHOWN = (
    "attack", "scope", "threat model", "protection %", "survival %", "transfer %", "SSIM, PSNR",
    "ms/image",
)  # fmt: skip
MORE = (
    "rank", "family", "surrogates", "worst surrogate %", "macro %", "worst filter %",
    "clean cost %", "survival n", "next victim %", "without kin %", "minus noise %",
    "budget used % (on floor)", "worst SSIM", "within", "passes f+b", "fit s", "n", "seeds",
    "flags",
)  # fmt: skip
TARGETED = ("attack", "scope", "targeted %", *SHOWN[3:])
MARKS = ("dataset", "budget", "attack", "family", "scope", "threat")
PLACE = {EQUAL: 0, EQUAL_PSNR: 1, CONVENTIONAL: 2}


@dataclass(frozen=True)
class Method:
    """A method under a budget: its line of `Tables.methods`, and the rows that it pools."""

    key: str
    line: Line
    rows: tuple[int, ...]

    @property
    def name(self) -> str:
        """As readers see it, with how a shared perturbation is scaled."""
        return method_name(self.line)


def methods_of(tables: Tables) -> list[Method]:
    """All methods, budgets in reading order, then by rank and rate."""
    lines = lines_of(tables.methods())
    found = [
        Method(f"m{k}", line, tuple(rows))
        for k, (line, rows) in enumerate(zip(lines, method_rows(tables), strict=True))
    ]
    order = list(tables.rows.budgets)
    return sorted(found, key=lambda own: _place(own.line, order))


def _place(line: Line, order: Sequence[str]) -> tuple[Any, ...]:
    budget = line["budget"]
    rate = line["targeted_rate"] if line["targeted"] else line["protection_rate"]
    rank = float("inf") if unknown(line["rank"]) else line["rank"]
    where = order.index(budget) if budget in order else len(order)
    return (line["dataset"], PLACE[kind(budget)], where, not line["within_budget"], -rate, rank)


def in_words(budget: str, bounds: Bounds) -> str:
    """What a budget allows, as a heading.

    Example:
        >>> in_words("equal", Bounds(0.997, None, 8 / 255))
        'SSIM at least 0.997, no pixel moved by more than 8 of 255'
    """
    if budget == CONVENTIONAL:
        return "Usual settings, no common floor"
    words = floor_of({k: math.nan if v is None else v for k, v in bounds._asdict().items()})
    return words[0].upper() + words[1:]


def methods_table(tables: Tables, methods: Sequence[Method], targeted: bool = False) -> WebTable:
    """Untargeted methods (or targeted ones), a group for each data set and budget."""
    columns = heads(TARGETED if targeted else SHOWN, MORE)
    chosen = [own for own in methods if bool(own.line["targeted"]) == targeted]
    board = dict(zip(tables.board.index, lines_of(tables.board), strict=True))
    columns, rows = without_empty(columns, [_row(own, columns, board) for own in chosen])
    named = len({own.line["dataset"] for own in chosen}) > 1
    groups: dict[tuple[str, str], list[tuple[Method, Row]]] = {}
    for own, row in zip(chosen, rows, strict=True):
        groups.setdefault((own.line["dataset"], own.line["budget"]), []).append((own, row))
    found = []
    for (dataset, budget), pairs in groups.items():
        words = in_words(budget, tables.rows.bounds_of(budget))
        found.append(
            Group(
                rows=[row for own, row in pairs if targeted or has_effect(own.line)],
                folded=[row for own, row in pairs if not (targeted or has_effect(own.line))],
                title=f"{words} ({dataset})" if named else words,
                note="" if targeted else told_apart([own.line for own, _ in pairs]),
                marks={"dataset": dataset, "budget": budget},
            )
        )
    name, title = ("targeted", "Targeted methods") if targeted else ("methods", "Methods")
    return WebTable(name, title, columns, found, whole=True)


def told_apart(lines: Sequence[Line]) -> str:
    """A sentence where every interval of two or more methods overlaps all others; else ""."""
    known = [line for line in lines if not unknown(line["protection_low"])]
    low = max((line["protection_low"] for line in known), default=0.0)
    high = min((line["protection_high"] for line in known), default=1.0)
    if len(known) < 2 or low > high:
        return ""
    faces = max(int(line["n"]) for line in known)
    return (
        f"Nothing here can be told apart: with {faces} faces that count, the interval of every "
        "method overlaps that of every other."
    )


def _row(own: Method, columns: Sequence[Head], board: dict[Any, Line]) -> Row:
    pooled = own.rows if len(own.rows) > 1 else ()
    children = [_child(f"{own.key}.{row}", board[row], columns) for row in pooled]
    line = own.line
    return Row(
        [cell(head, line) for head in columns], {name: str(line[name]) for name in MARKS},
        own.key, _flags(line), line["rank"], children,
    )  # fmt: skip


def _child(key: str, line: Line, columns: Sequence[Head]) -> Row:
    aimed = "" if line["target"] == "-" else f", to {line['target']}"
    what = f"looks into {line['surrogate']}{aimed}"
    rest = [cell(head, line) for head in columns[1:]]
    return Row([Cell(what, what), *rest], {}, key, _flags(line), line["rank"])


def _flags(line: Line) -> tuple[str, ...]:
    found = tuple(flag for flag in str(line["flags"] or "").split("; ") if flag and flag != "nan")
    loud = not line["within_budget"] and line["budget"] != CONVENTIONAL
    return (*(("beyond the floor",) if loud else ()), *found)
