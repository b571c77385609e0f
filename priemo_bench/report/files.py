"""The files of a report, and whether they are there; needs no pandas."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from priemo_bench.report.tables import TABLES

ROWS, SPEC, README, PAGE = "results.parquet", "spec.toml", "README.md", "index.html"
FIGURES = "figures"
_PICTURE = re.compile(r'<img src="([^"]+)"')
_LONGEST = 80


def is_written(out: Path) -> bool:
    """Whether the page, which is written last, is as new as the rows."""
    rows, page = out / ROWS, out / PAGE
    return rows.is_file() and page.is_file() and page.stat().st_mtime >= rows.stat().st_mtime


def complete(out: Path) -> bool:
    """Whether `is_written`, and every file that belongs to the page is there and not empty."""
    if not is_written(out):
        return False
    tables = [f"{table.name}.csv" for table in TABLES if table.csv]
    try:
        pictures = _PICTURE.findall((out / PAGE).read_text("utf-8"))
        return all((out / name).stat().st_size for name in (*tables, SPEC, README, *pictures))
    except (OSError, ValueError):
        return False


def file_names(names: Iterable[str]) -> dict[str, str]:
    """For each of some names of a run a part of a file's name, which leads into no other folder.

    Example:
        >>> file_names(["fer2013", "../../a b", "../../a_b"])
        {'fer2013': 'fer2013', '../../a b': '.._.._a_b', '../../a_b': '.._.._a_b-2'}
    """
    found: dict[str, str] = {}
    for name in names:
        own = plain = re.sub(r"[^\w.-]", "_", name)[:_LONGEST]
        again = 1
        while own in found.values():
            again += 1
            own = f"{plain}-{again}"
        found[name] = own
    return found
