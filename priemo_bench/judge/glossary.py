"""What every column of every table holds: one source for page, csv, documentation, notebook.

A column that means something else in one table has an entry of its own, `TABLE.NAME`. Imports
nothing heavy.
"""

from __future__ import annotations

from priemo_bench.judge.columns import TABLES as TABLES
from priemo_bench.judge.glossary_entries import (
    COUNT,
    DB,
    GREY,
    HIGHER,
    LOWER,
    MEGABYTES,
    MS,
    NUMBER,
    SECONDS,
    SHARE,
    SSIM,
    TEXT,
    YES,
    Column,
    entries,
)

__all__ = [
    "COUNT", "DB", "GLOSSARY", "GREY", "HIGHER", "LOWER", "MEGABYTES", "MS", "NUMBER", "SECONDS",
    "SHARE", "SSIM", "TABLES", "TEXT", "YES", "Column", "by_heading", "column", "described",
]  # fmt: skip

GLOSSARY: dict[str, Column] = entries()
"""By name of the column, or `TABLE.NAME` where one table means something else by that name."""


def column(name: str, table: str = "") -> Column:
    """What a column holds; one that the glossary lacks is a further metric of a run.

    Args:
        name: of the column. table: one of TABLES, where that matters.

    Example:
        >>> column("protection_rate").heading, column("protection_rate").unit
        ('protection %', 'share from 0 to 1')
        >>> column("threat", "adversaries").text == column("threat").text
        False
    """
    found = GLOSSARY.get(f"{table}.{name}") or GLOSSARY.get(name)
    text = "a further metric of the run, the mean over the published images"
    return found or Column(name, name, text, NUMBER)


def by_heading(heading: str) -> Column | None:
    """The column that a heading of the page or the terminal belongs to; None for no column.

    Example:
        >>> by_heading("ms/image").name
        'ms_per_image'
    """
    return next((own for own in GLOSSARY.values() if own.heading == heading), None)


def described(names: list[str], table: str = "") -> dict[str, dict[str, str]]:
    """Name to text, unit and direction, as `DataFrame.attrs["columns"]` has them."""
    found = {name: column(name, table) for name in names}
    return {
        name: {"text": own.text, "unit": own.unit, "direction": own.direction}
        for name, own in found.items()
    }
