"""The files of a report, and whether they are there; needs no pandas."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import unescape
from pathlib import Path

from priemo_bench.report.tables import TABLES

ROWS, SPEC, README, PAGE = "results.parquet", "spec.toml", "README.md", "index.html"
FIGURES = "figures"
PAGES = "pages.toml"
"""The list of published pages, in the folder above them."""
PLACES = ("*.csv", "*.parquet", "*.json", "*.tex", "*.md", "spec.toml", "figures/*", "faces/*.csv")
"""Files that a page offers beside itself."""
WHAT = {
    "methods.csv": "one line per method and floor", "leaderboard.csv": "one line per method, "
    "floor and surrogate", "transfer.csv": "every victim", "defenses.csv": "every filter",
    "curves.csv": "protection against the floor", "costs.csv": "seconds, passes and memory of "
    "every cell", "failures.csv": "what failed, and why", "results.parquet": "every prediction",
    "spec.toml": "what was run", "README.md": "this page in Markdown",
    "faces/faces.csv": "which picture in faces/ is which",
}  # fmt: skip
_LINK = re.compile(r'<a href="([^"#?:]+)" download')
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
        linked = [unescape(name) for name in _LINK.findall((out / PAGE).read_text("utf-8"))]
        return all((out / name).stat().st_size for name in (*tables, SPEC, README, *linked))
    except (OSError, ValueError):
        return False


def is_published(out: Path) -> bool:
    """Whether a folder is one of the published pages, over which there is an overview."""
    return (out.parent / PAGES).is_file()


def downloads(out: Path) -> list[tuple[str, str]]:
    """Files of a run that its page links, and what is in them."""
    found = [path.relative_to(out).as_posix() for place in PLACES for path in out.glob(place)]
    order = [*WHAT, *sorted(found)]
    return [(name, WHAT.get(name, "")) for name in sorted(set(found), key=order.index)]


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
