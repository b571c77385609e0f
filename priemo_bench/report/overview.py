"""One page over all published pages: what each answers, its best rows, and where it is."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from priemo_bench.contracts.budgets import CONVENTIONAL
from priemo_bench.contracts.storage import write_text
from priemo_bench.errors import PriemoError
from priemo_bench.report.files import PAGE, PAGES, README, ROWS
from priemo_bench.report.formatting import percent
from priemo_bench.report.rendering import as_html
from priemo_bench.report.views import floor_of

METHODS, STUDY = "methods.csv", "facts.json"
BEST = 3
"""Rows of a page that the overview shows."""
LEADERBOARD = "fer2013"
"""The page that is *the* leaderboard, where pages.toml names none by `leaderboard`."""


@dataclass(frozen=True)
class Best:
    """A row that an overview shows; rates in per cent, with their intervals."""

    method: str
    threat: str
    protection: str
    transfer: str


@dataclass(frozen=True)
class Entry:
    """A published page.

    Attributes:
        link: to it, "" for one that is not made yet. shows: what question it answers.
        archived: why it is not made again, "" for a current one. first: whether it is *the*
            leaderboard. data, version, floor: of its run; floor is what `best` keeps.
    """

    name: str
    shows: str
    archived: str
    link: str = ""
    first: bool = False
    data: str = ""
    version: str = ""
    floor: str = ""
    best: list[Best] = field(default_factory=list)


@dataclass(frozen=True)
class Submitted:
    """A stranger's checked result.

    Attributes:
        name, authors, link, benchmark: its own. file: of it, below the folder of the pages.
        reevaluates: the entry that it evaluates again, or "". best: its best rows.
    """

    name: str
    authors: str
    link: str
    benchmark: str
    file: str
    reevaluates: str
    best: list[Best]


def write_overview(folder: Path, submitted: Sequence[Submitted] = ()) -> Path:
    """Write index.html over the pages that pages.toml in `folder` lists, and what was submitted.

    Raises:
        PriemoError: there is no such file, or it is not one of pages.
    """
    path = folder / PAGES
    try:
        listed = tomllib.loads(path.read_text("utf-8"))
        pages = [
            (str(own["name"]), str(own["shows"]), str(own.get("archived", "")))
            for own in listed["pages"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PriemoError(f"{path} cannot be read as a list of pages: {error}") from None
    first = str(listed.get("leaderboard", LEADERBOARD))
    entries = [_entry(folder, *page, first) for page in pages]
    entries.sort(key=lambda own: (not own.first, bool(own.archived)))
    values = {"entries": entries, "submitted": submitted}
    write_text(folder / PAGE, as_html("web/overview.html.jinja", values))
    return folder / PAGE


def _entry(folder: Path, name: str, shows: str, archived: str, first: str) -> Entry:
    here = folder / name
    if Path(name).name != name:
        raise PriemoError(f"{folder / PAGES} names a page {name!r}, which is no folder beside it")
    link = next((f"{name}/{file}" for file in (PAGE, README) if (here / file).is_file()), "")
    facts = _facts(here)
    floor, best = _best(here / METHODS)
    return Entry(
        name, shows, archived, link, name == first, _data(facts), _version(facts), floor, best
    )


def _facts(here: Path) -> Mapping[str, Any]:
    """What a run, or a study of adversaries, says of itself; nothing where it cannot be read."""
    from priemo_bench.contracts.rows import Rows

    try:
        if (here / STUDY).is_file():
            found = json.loads((here / STUDY).read_text("utf-8"))
            return {**found, "data": {found["data"]["name"]: found["data"]}}
        rows = [*sorted(here.glob(ROWS)), *sorted(here.glob(f"*/{ROWS}"))]
        return Rows.load(rows[0]).facts if rows else {}
    except (OSError, ValueError, KeyError, TypeError, PriemoError):
        return {}


def _data(facts: Mapping[str, Any]) -> str:
    known = [(name, own) for name, own in facts.get("data", {}).items() if {"test", "of"} <= {*own}]
    return ", ".join(f"{own['test']} of {own['of']} faces of {name}" for name, own in known)


def _version(facts: Mapping[str, Any]) -> str:
    version = facts.get("versions", {}).get("priemo-bench")
    state = facts.get("code", {}).get("state")
    parts = [f"version {version}"] if version else []
    return ", ".join([*parts, *([f"code {state}"] if state else [])])


def _best(path: Path) -> tuple[str, list[Best]]:
    """The floor, and the best rows, of the first budget in methods.csv."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        rows = best_of(lines)
        floor = floor_of({name: float(lines[0].get(name) or "nan") for name in FLOORS})
    except (OSError, ValueError, KeyError, IndexError, csv.Error):
        return "", []
    return "" if floor == "no bound" else floor, rows


FLOORS = ("ssim_floor", "psnr_floor", "eps")


def best_of(lines: Sequence[Mapping[str, Any]]) -> list[Best]:
    """The best untargeted methods under the first budget, of lines as in methods.csv."""
    kept = [
        line
        for line in lines
        if f"{line['targeted']}" == "False" and f"{line['within_budget']}" == "True"
        and line["budget"] == lines[0]["budget"] != CONVENTIONAL
    ]  # fmt: skip
    kept.sort(key=lambda line: -float(line["protection_rate"] or "nan"))
    return [
        Best(line["attack"], line["threat"], _rate(line, "protection"), _rate(line, "transfer"))
        for line in kept[:BEST]
    ]


def _rate(line: Mapping[str, Any], name: str) -> str:
    value, low, high = (float(line[f"{name}_{end}"] or "nan") for end in ("rate", "low", "high"))
    return "" if value != value else f"{percent(value)} [{percent(low)}, {percent(high)}]"
