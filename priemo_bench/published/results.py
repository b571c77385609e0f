"""Published results as DataFrames: the project's own pages, and what strangers submitted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from priemo_bench.contracts.columns import METHOD
from priemo_bench.contracts.rows import Rows
from priemo_bench.errors import PriemoError
from priemo_bench.judge.glossary import HIGHER, SHARE, described
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.published.benchmarks import Definition, benchmark, names
from priemo_bench.published.checking import check
from priemo_bench.published.submission import Submission
from priemo_bench.registry import unknown
from priemo_bench.report.overview import Submitted, best_of
from priemo_bench.results import TABLES, Results

OWN = "priemo-bench"
"""The entry that rows of this project's own pages belong to."""
SUBMISSIONS = "submissions"
COLUMNS = {
    "entry": "who made the row: priemo-bench, or the name of a submission",
    "authors": "of the entry",
    "link": "to the code or paper of the entry; to the page for own rows",
    "external_rate": "the lowest protection rate that somebody else's evaluation leaves, where it "
    "is lower",
    "external_by": "the submission that found it",
    "external_under": "the defense or further victim that it was found under",
}
"""What a benchmark's table has beside the columns of the glossary."""
EXTERNAL = ["external_rate", "external_by", "external_under"]
KEY = ["entry", *[name for name in METHOD if name != "dataset"], "targeted", "threat"]


def load_results(
    name: str = "priemo-bench-rendered-v1",
    table: str = "methods",
    folder: Path | str | None = None,
) -> pd.DataFrame:
    """A published table.

    Args:
        name: a benchmark, whose table is this project's page of it and all submissions to it; or
            a page of `reports/`, such as "defenses".
        table: of a page: "methods", "leaderboard", "curve", "transfer", "defenses" ...
        folder: `reports/` of a copy of the repository. None is what PRIEMO_REPORTS names, the
            repository that this package runs from, or `reports/` here; nothing is downloaded.

    Returns:
        As methods.csv, shares from 0 to 1. Of a benchmark also `entry` (who), `authors`, `link`,
        and, where somebody else evaluated an entry again and left less of it, `external_rate`, with
        the submission (`external_by`) and the victim or defense (`external_under`) that did.
        `attrs["columns"]` says what each column holds; `attrs["notes"]` are sentences on what of a
        page is not as the benchmark has it.

    Raises:
        PriemoError: no such name, no such folder, or a submission that is wrong.

    Example:
        >>> from priemo_bench import load_results
        >>> best = load_results("priemo-bench-rendered-v1").query("budget == 'equal'")
        >>> best[["entry", "attack", "protection_rate", "external_rate"]]  # doctest: +SKIP
    """
    reports = reports_folder(folder)
    if name not in names():
        return _page(reports, name, table)
    if table != "methods":
        raise PriemoError(f"{name} has the table methods, not {table!r}; give a page for that")
    found = benchmark(name)
    made = list(_submissions(reports, found))
    own = _own(reports, found)
    parts = [own, *(_of_entry(entry) for entry in made if not entry.reevaluates)]
    joined = pd.concat([part for part in parts if len(part)], ignore_index=True)
    result = _with_external(joined, [entry for entry in made if entry.reevaluates])
    order = ["budget", "targeted", "threat", "protection_rate"]
    result = result.sort_values(order, ascending=[True, True, False, False], kind="stable")
    texts = {
        name: {"text": text, "unit": "text", "direction": ""} for name, text in COLUMNS.items()
    }
    texts["external_rate"] |= {"unit": SHARE, "direction": HIGHER}
    result.attrs["columns"] = (
        described([str(c) for c in result if c not in COLUMNS], "methods") | texts
    )
    result.attrs["notes"] = [*own.attrs["notes"], *_unmatched(joined, made)]
    return result.reset_index(drop=True)


def reports_folder(folder: Path | str | None = None) -> Path:
    """Where published results are, as for `load_results`.

    Raises:
        PriemoError: nowhere.
    """
    beside = Path(__file__).parents[2] / "reports"
    given = folder or os.environ.get("PRIEMO_REPORTS")
    places = [Path(given)] if given else [beside, Path("reports")]
    for place in places:
        if (place / "pages.toml").is_file():
            return place
    raise PriemoError(
        f"no published results in {' or '.join(map(str, places))}; they are in reports/ of the "
        "repository: name your copy with folder= or PRIEMO_REPORTS"
    )


def pages(reports: Path) -> list[str]:
    """Names of the published pages that have rows."""
    return sorted(file.parent.name for file in reports.glob("*/results.parquet"))


def submissions(reports: Path) -> Iterator[Submission]:
    """All submissions in `reports/submissions`, by name, each checked.

    Raises:
        PriemoError: one is wrong, or is not called as its file is.
    """
    for path in sorted((reports / SUBMISSIONS).glob("*.json")):
        made = Submission.read(path)
        if made.name != path.stem:
            raise PriemoError(f"{path} calls itself {made.name}")
        check(made)
        yield made


def submitted(reports: Path) -> list[Submitted]:
    """The same for the overview of all pages; PriemoError as for `submissions`."""
    return [
        Submitted(
            made.name, ", ".join(made.authors), made.link, made.benchmark,
            f"{SUBMISSIONS}/{made.name}.json", made.reevaluates,
            best_of([line.model_dump() for line in made.methods]),
        )
        for made in submissions(reports)
    ]  # fmt: skip


def _submissions(reports: Path, found: Definition) -> Iterator[Submission]:
    return (made for made in submissions(reports) if made.benchmark == found.name)


def _page(reports: Path, name: str, table: str) -> pd.DataFrame:
    known = pages(reports)
    if name not in known:
        raise unknown("published results", name, [*names(), *known])
    if table not in TABLES:
        raise unknown("tables", table, TABLES)
    result: pd.DataFrame = getattr(Results(reports / name), table)()
    return result


def _own(reports: Path, found: Definition) -> pd.DataFrame:
    """This project's own rows of a benchmark; what departs from it in `attrs`."""
    if found.page not in pages(reports):
        raise PriemoError(f"{reports} has no page {found.page!r}, which is that of {found.name}")
    rows = Rows.load(reports / found.page / "results.parquet")
    table = Tables(rows).methods()
    table = table[table["budget"].isin(found.budgets)]
    table = table.assign(entry=OWN, authors=OWN, link=f"reports/{found.page}")
    table.attrs["notes"] = [f"reports/{found.page}: {why}" for why in found.departures(rows)]
    return table


def _of_entry(made: Submission) -> pd.DataFrame:
    table = Tables(made.rows()).methods()
    return table.assign(entry=made.name, authors=", ".join(made.authors), link=made.link)


def _with_external(table: pd.DataFrame, evaluations: list[Submission]) -> pd.DataFrame:
    """The table with EXTERNAL: what the harshest evaluation by somebody else leaves of a row."""
    found: dict[tuple[Any, ...], tuple[float, str, str]] = {}
    for made in evaluations:
        for key, rate, under in lowest_rates(made):
            if key not in found or rate < found[key][0]:
                found[key] = (rate, made.name, under)
    none = (float("nan"), "", "")
    keys = [tuple(line[name] for name in KEY) for line in table.to_dict("records")]
    values = [found.get(key, none) for key in keys]
    values = [
        own if own[0] < rate else none
        for own, rate in zip(values, table["protection_rate"], strict=True)
    ]
    return table.assign(**dict(zip(EXTERNAL, zip(*values, strict=True), strict=True)))


def _unmatched(table: pd.DataFrame, made: list[Submission]) -> list[str]:
    """A sentence for each evaluation of an entry that there is not."""
    entries = set(zip(table["entry"], table["attack"], strict=True))
    return [
        f"{own.name} evaluates {own.reevaluates} again, which is no entry"
        for own in made
        if own.reevaluates and _target(own) not in entries
    ]


def _target(made: Submission) -> tuple[str, str]:
    """Entry and attack that a submission evaluates again."""
    entry, _, attack = made.reevaluates.rpartition("/")
    return entry or OWN, attack


def lowest_rates(made: Submission) -> Iterator[tuple[tuple[Any, ...], float, str]]:
    """Of a re-evaluation: KEY of the row, the lowest rate that it leaves, and under what.

    What lowers a rate is a defense that the judging victims predict under, or a further victim;
    one that classifies fewer than 20 faces correctly when clean counts for nothing.
    """
    tables = Tables(made.rows())
    entry, attack = _target(made)
    lines = tables.methods()
    lines = lines[lines["attack"] == attack]
    defended, read = tables.defended_methods(), tables.transfer()
    names_of = [name for name in METHOD if name != "dataset"]
    for line in lines.to_dict("records"):
        rates = [(line["protection_rate"], "none", line["n"])]
        for table, column in ((defended, "defense"), (read, "victim")):
            own = table[(table[names_of] == [line[n] for n in names_of]).all(axis=1)]
            if column == "victim":
                own = own[~own["victim"].isin(benchmark(made.benchmark).victims)]
            rates += zip(own["protection_rate"], own[column], own["n"], strict=True)
        known = [(rate, str(under)) for rate, under, n in rates if n >= 20 and rate == rate]
        if known:
            yield (entry, *(line[name] for name in KEY[1:])), *min(known)
