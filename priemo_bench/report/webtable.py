"""Tables of a page in HTML: what a reader sees, sorts and filters by, and where it is explained."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from priemo_bench.judge.glossary import TEXT, YES, Column, column
from priemo_bench.report.columns import FORMATTERS, behind
from priemo_bench.report.formatting import Formatter, Line, decimal, unknown
from priemo_bench.report.views import Section

OWN: dict[str, tuple[tuple[str, ...], Formatter]] = {
    "SSIM, PSNR": (
        ("ssim", "psnr"),
        lambda r: f"{decimal(r['ssim'], 4)}, {decimal(r['psnr'], 1)} dB",
    ),
    "ms/image": (("ms_per_image",), lambda r: milliseconds(r["ms_per_image"])),
}
"""Headings that only pages of HTML have: the columns behind, and what stands under it."""
NOTHING = ("", "-", "nan", "-, - dB")


def milliseconds(value: float) -> str:
    """Milliseconds with two digits or more.

    Example:
        >>> milliseconds(0.0034), milliseconds(6714.5)
        ('0.0034', '6,714')
    """
    if unknown(value):
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


@dataclass(frozen=True)
class Head:
    """A heading.

    Attributes:
        columns: of the glossary, that stand under it; none for a heading that says all itself.
        shown: False for a column on demand. numbers: whether numbers stand under it, where no
            column says so.
    """

    heading: str
    columns: tuple[Column, ...]
    shown: bool = True
    numbers: bool = False

    @property
    def numeric(self) -> bool:
        """Whether numbers stand under it."""
        return self.numbers or any(own.unit not in (TEXT, YES) for own in self.columns[:1])

    @property
    def name(self) -> str:
        """Of the column that it is sorted by."""
        return self.columns[0].name if self.columns else self.heading


@dataclass(frozen=True)
class Cell:
    """Text, what it is sorted by (None: last), and a share with its interval where it is one."""

    text: str
    value: float | str | None
    rate: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Row:
    """A row.

    Attributes:
        cells: the first is its heading. marks: what it is filtered by, by name.
        key: of what scripts know of it. flags: reasons not to believe it. rank: NaN for none.
        children: rows that it pools.
    """

    cells: Sequence[Cell]
    marks: Mapping[str, str]
    key: str = ""
    flags: Sequence[str] = ()
    rank: float = float("nan")
    children: Sequence[Row] = ()


@dataclass(frozen=True)
class Group:
    """Rows that are sorted among themselves.

    Attributes:
        title: "" for the only group of a table. note: what a reader must know of these rows.
        marks: what the whole group is filtered by. folded: rows that one line stands for.
    """

    rows: Sequence[Row]
    title: str = ""
    note: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)
    folded: Sequence[Row] = ()


@dataclass(frozen=True)
class WebTable:
    """A table of a page; `text` stands above it, `whole` is False for one that scrolls within."""

    name: str
    title: str
    heads: Sequence[Head]
    groups: Sequence[Group]
    text: str = ""
    whole: bool = False


def heads(shown: Sequence[str], more: Sequence[str] = (), table: str = "") -> list[Head]:
    """Headings with the columns of the glossary behind each.

    Args:
        shown, more: headings, or names of columns of a table. table: of the glossary.
    """
    return [
        Head(heading if name not in OWN else name, columns, name in shown)
        for name in (*shown, *more)
        for heading, columns in [_of(name, table)]
    ]


def _of(name: str, table: str) -> tuple[str, tuple[Column, ...]]:
    if name in OWN:
        return name, tuple(column(own) for own in OWN[name][0])
    if name in FORMATTERS:
        return name, behind(name)
    own = column(name, table)
    return own.heading, (own,)


def cell(head: Head, line: Line) -> Cell:
    """What stands under a heading for a line of a table; empty where it has no such column."""
    names = [own.name for own in head.columns]
    if not set(names) <= set(line):
        return Cell("", None)
    value = line[names[0]]
    text = formatter(head)(line)
    rate = None
    if len(names) == 3 and names[1].endswith("_low") and not unknown(value):
        rate = tuple(float(line[name]) for name in names)
    return Cell("" if text in NOTHING else text, _sortable(value), rate)  # type: ignore[arg-type]


def formatter(head: Head) -> Formatter:
    """From a line of a table to the text under a heading."""
    if head.heading in OWN:
        return OWN[head.heading][1]
    if head.heading in FORMATTERS:
        return FORMATTERS[head.heading]
    name, unit = head.name, head.columns[0].unit
    return lambda line: number(line[name], unit)


def number(value: Any, unit: str) -> str:
    """A value of a column as text, by its unit: shares in per cent.

    Example:
        >>> number(0.1234, "share from 0 to 1"), number(12.0, "count")
        ('12.3', '12')
    """
    if value is None or unknown(value):
        return ""
    if unit == YES:
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if "share" in unit:
        return f"{100 * value:.1f}"
    if "SSIM" in unit:
        return f"{value:.4f}"
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}"


def _sortable(value: Any) -> float | str | None:
    if isinstance(value, str):
        return value
    return None if value is None or unknown(value) else float(value)


def without_empty(found: Sequence[Head], rows: Sequence[Row]) -> tuple[list[Head], list[Row]]:
    """Headings and rows without the columns that say nothing in any row."""
    every = [*rows, *(child for row in rows for child in row.children)]
    kept = [k for k in range(len(found)) if any(row.cells[k].text for row in every)]

    def only(row: Row) -> Row:
        return Row([row.cells[k] for k in kept], row.marks, row.key, row.flags, row.rank,
                   [only(child) for child in row.children])  # fmt: skip

    return [found[k] for k in kept], [only(row) for row in rows]


def table(
    name: str,
    title: str,
    lines: Sequence[Line],
    shown: Sequence[str],
    marks: Sequence[str] = (),
    text: str = "",
    of: str = "",
) -> WebTable:
    """A plain table of lines; `marks` are the columns that it is filtered by."""
    found = heads(shown, table=of)
    rows = [
        Row([cell(head, line) for head in found], {m: str(line[m]) for m in marks})
        for line in lines
    ]
    kept, rows = without_empty(found, rows)
    return WebTable(name, title, kept, [Group(rows)], text)


def plain(name: str, section: Section) -> WebTable:
    """A table of texts as it stands, sorted by the number that a text begins with."""
    texts = section.table.rows
    rows = [Row([Cell(text, _leading(text)) for text in line], {}) for line in texts]
    found = []
    for k, heading in enumerate(section.table.headings):
        values = [row.cells[k].value for row in rows if row.cells[k].text not in NOTHING]
        numbers = bool(values) and all(isinstance(value, float) for value in values)
        found.append(Head(heading, (), numbers=numbers))
    return WebTable(name, section.title, found, [Group(rows)], section.text)


def _leading(text: str) -> float | str | None:
    """The number that a text begins with; the text where there is none, None for nothing."""
    found = re.match(r"-?\d+(\.\d+)?(?=$| [\[(])", text)
    return None if text in NOTHING else float(found[0]) if found else text
