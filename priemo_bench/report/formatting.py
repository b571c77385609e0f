"""How numbers are written in the tables of a page and of the terminal.

A line of a table is a mapping by column, whether it comes from a DataFrame or from a csv file, so
that the terminal needs no pandas. Unknown numbers are NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from priemo_bench.contracts.budgets import CONVENTIONAL, EQUAL, EQUAL_PSNR, KINDS, kind

if TYPE_CHECKING:
    import pandas as pd

Line: TypeAlias = "Mapping[str, Any] | pd.Series"
Formatter = Callable[[Line], str]
"""A line of a table to the text of one of its columns."""
_NAN = float("nan")

BUDGET_NAMES = {EQUAL: "equal SSIM", EQUAL_PSNR: "equal PSNR", CONVENTIONAL: "usual settings"}
"""What a reader sees of the kinds of budgets, in reading order."""


@dataclass(frozen=True)
class TextTable:
    """A table of texts.

    Attributes:
        headings: of its columns. rows: as many texts each.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def only(self, headings: Sequence[str]) -> TextTable:
        """These columns of it."""
        at = [self.headings.index(heading) for heading in headings]
        return TextTable(headings, [[row[k] for k in at] for row in self.rows])


def budget_name(line: Line) -> str:
    """What a reader sees of the budget of a line: its floor, where the line has it.

    Example:
        >>> budget_name({"budget": "equal", "ssim_floor": 0.997}), budget_name({"budget": "equal"})
        ('SSIM 0.997', 'equal SSIM')
        >>> budget_name({"budget": "equal-psnr-33.8"}), budget_name({"budget": "conventional"})
        ('equal PSNR 33.8', 'usual settings')
    """
    budget = str(line["budget"])
    own = kind(budget) if budget.startswith(KINDS) else budget
    ssim, psnr = line.get("ssim_floor", _NAN), line.get("psnr_floor", _NAN)
    if own == EQUAL and not unknown(ssim):
        return f"SSIM {ssim:g}"
    if own == EQUAL_PSNR and not unknown(psnr):
        return f"PSNR {psnr:g} dB"
    return f"{BUDGET_NAMES.get(own, own)}{budget.removeprefix(own).replace('-', ' ')}"


def unknown(value: Any) -> bool:
    """Whether a number is NaN."""
    return bool(value != value)


def percent(value: float, digits: int = 1) -> str:
    """A share in per cent, "-" where it is unknown.

    Example:
        >>> percent(0.9712), percent(float("nan"))
        ('97.1', '-')
    """
    return "-" if unknown(value) else f"{100 * value:.{digits}f}"


def decimal(value: float, digits: int) -> str:
    """A number with `digits` decimals, "-" where it is unknown."""
    return "-" if unknown(value) else f"{value:.{digits}f}"


def whole(value: float) -> str:
    """A whole number, "-" where it is unknown."""
    return "-" if unknown(value) else str(int(value))


def interval(line: Line, name: str) -> str:
    """ "[94.0, 98.6]" from the shares `name`_low and `name`_high; "-" where they are unknown."""
    low, high = line[f"{name}_low"], line[f"{name}_high"]
    return "-" if unknown(low) else f"[{percent(low)}, {percent(high)}]"


def rate(line: Line, name: str = "protection", value: str = "") -> str:
    """ "97.1 [94.0, 98.6]" from column `value`, which is `name`_rate by default, and its interval.

    Example:
        >>> rate({"protection_rate": 0.5, "protection_low": 0.4, "protection_high": 0.6})
        '50.0 [40.0, 60.0]'
    """
    found = line[value or f"{name}_rate"]
    return "-" if unknown(found) else f"{percent(found)} {interval(line, name)}"


def formatted(lines: Iterable[Line], columns: Mapping[str, Formatter]) -> TextTable:
    """A table of texts: a row for each line, a column for each of `columns`."""
    rows = [[text(line) for text in columns.values()] for line in lines]
    return TextTable(list(columns), rows)


def pivoted(
    lines: Iterable[Line], index: Mapping[str, Formatter], columns: str, text: Formatter
) -> TextTable:
    """A table with a row for each `index` and a column for each value of `columns`; "-" for none.

    Example:
        >>> lines = [{"a": "x", "b": "p", "n": 1}, {"a": "x", "b": "q", "n": 2}]
        >>> pivoted(lines, {"A": lambda r: r["a"]}, "b", lambda r: str(r["n"])).rows
        [['x', '1', '2']]
    """
    found: dict[tuple[str, ...], dict[str, str]] = {}
    headings: dict[str, None] = {}
    for line in lines:
        row = found.setdefault(tuple(name(line) for name in index.values()), {})
        row.setdefault(line[columns], text(line))
        headings.setdefault(line[columns])
    rows = [[*key, *(row.get(h, "-") for h in headings)] for key, row in found.items()]
    return TextTable([*index, *headings], rows)


def one_line(text: object) -> str:
    """A text without line breaks and control characters."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def inline(text: object) -> str:
    r"""A text that says the same in Markdown: no HTML, link, picture, code or cell of its own.

    Example:
        >>> print(inline("<script> a|b ![x](http://y) [94.0, 98.6]"))
        &lt;script> a\|b ![x]&#40;http://y) [94.0, 98.6]
    """
    escaped = one_line(text).replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;")
    for mark in "|`*":
        escaped = escaped.replace(mark, f"\\{mark}")
    return escaped.replace("](", "]&#40;").replace("][", "]&#91;")


def code_block(command: object) -> str:
    """A command in Markdown, as a block; one with a "<" as HTML, where it can be escaped.

    Example:
        >>> code_block("priemo-bench run '<b>'")
        "<pre>priemo-bench run '&lt;b>'</pre>"
    """
    line = one_line(command)
    if "<" in line or "```" in line:
        plain = line.replace("&", "&amp;").replace("<", "&lt;").replace("](", "]&#40;")
        return f"<pre>{plain}</pre>"
    return f"```sh\n{line}\n```"


def code_span(text: object) -> str:
    """A word in Markdown, as code; plain where it holds more than letters and digits."""
    return f"`{text}`" if str(text).isalnum() else inline(text)


def markdown(table: TextTable) -> str:
    r"""A table of texts in Markdown.

    Example:
        >>> print(markdown(TextTable(["attack", "n"], [["a|b", "1"]])))
        | attack | n |
        |---|---|
        | a\|b | 1 |
    """

    def row(cells: Iterable[object]) -> str:
        return "| " + " | ".join(map(inline, cells)) + " |"

    lines = [row(table.headings), "|" + "---|" * len(table.headings)]
    return "\n".join([*lines, *map(row, table.rows)])


def csv(table: pd.DataFrame) -> str:
    """A table of numbers as CSV, with six digits."""
    return str(table.to_csv(index=False, float_format="%.6g"))


def lines_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The lines of a DataFrame, NaN for what is unknown."""
    known = table.astype(object).where(table.notna(), float("nan"))
    return cast("list[dict[str, Any]]", known.to_dict("records"))


def plain(name: str) -> str:
    """A name as matplotlib writes it: what is between two dollar signs is no formula."""
    return name.replace("$", r"\$")
