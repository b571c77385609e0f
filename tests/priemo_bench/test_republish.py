"""`republish` on pages of its own: what is stale, what is made, what goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from priemo_bench import cli
from priemo_bench.contracts.rows import Rows
from priemo_bench.errors import PriemoError
from priemo_bench.republish import Pages, republish

LIST = """
[[pages]]
name = "first"
command = ["run", "SPEC", "--limit", "14"]
shows = "one run"

[[pages]]
name = "broken"
command = ["run", "no-such-spec"]
shows = "nothing"

[[pages]]
name = "last"
command = ["run", "SPEC", "--ssim-floor", "0.99", "--floors", "0.9"]
shows = "two floors"

[[pages]]
name = "old"
command = ["run"]
shows = "what was"
archived = "made by hand"
"""
SPEC = """
name = "toys"
victims = ["toy-a", "toy-b"]
surrogates = ["toy-a"]

[[datasets]]
name = "toys"

[[attacks]]
name = "gradient"
eps_grid = [0.02]
"""


@pytest.fixture
def listed(tmp_path: Path, world: dict[str, Any]) -> Path:
    """A pages.toml of toys."""
    spec = tmp_path / "toys.toml"
    spec.write_text(SPEC)
    path = tmp_path / "reports" / "pages.toml"
    path.parent.mkdir()
    path.write_text(LIST.replace("SPEC", str(spec)))
    return path


def said(path: Path, *names: str, **options: Any) -> tuple[bool, list[str]]:
    lines: list[str] = []
    return republish(path, names, say=lines.append, **options), lines


def test_stale_pages_are_made_and_a_failing_one_stops_none(listed: Path) -> None:
    ok, lines = said(listed)
    assert not ok
    assert [line.partition(":")[0] for line in lines if "made in" in line] == ["first", "last"]
    assert any("broken: failed: no spec is called 'no-such-spec'" in line for line in lines)
    facts = Rows.load(listed.parent / "first" / "results.parquet").facts
    assert facts["command"].endswith("--limit 14 --out reports/first")
    assert said(listed, "first", "last") == (True, ["first: current", "last: current"])

    index = (listed.parent / "README.md").read_text()
    assert "[first](first/README.md) | one run | 14 of" in index
    assert "`toy-a`; evaluation-only: `toy-b` | 0.99, 0.9 |" in index
    assert facts["code"]["state"] in index
    assert "not made again: made by hand" in index
    assert "not made yet" in index.partition("made by hand")[2]


def test_a_dry_run_writes_nothing(listed: Path) -> None:
    ok, lines = said(listed, "first", "last", dry_run=True)
    assert ok
    assert lines == ["first: stale: all of it", "last: stale: all of it"]
    assert [path.name for path in listed.parent.iterdir()] == ["pages.toml"]


def test_what_is_stale_is_named(listed: Path) -> None:
    said(listed, "first")
    rows = Rows.load(listed.parent / "first" / "results.parquet")
    rows.facts["code"]["attacks"]["gradient"] = "0"
    rows.facts["code"]["run"] = "0"
    rows.save(listed.parent / "first" / "results.parquet")
    listed.write_text(listed.read_text().replace('"14"', '"21"'))
    _, lines = said(listed, "first", dry_run=True)
    assert lines == ["first: stale: attack gradient, run, its spec (limit of toys)"]


@pytest.mark.slow
def test_where_only_the_page_is_stale_nothing_is_run(
    listed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(listed, "first", "last")
    for name in ("first", "last"):
        path = listed.parent / name / "results.parquet"
        rows = Rows.load(path)
        rows.facts["code"] |= {"page": "0", "state": "0"}
        rows.save(path)
        (path.parent / "leaderboard.csv").unlink()
    monkeypatch.setattr("priemo_bench.benchmark.Benchmark.run", None)
    ok, lines = said(listed, "first", "last")
    assert ok
    assert [line for line in lines if "stale" in line] == [
        "first: stale: page; making it anew",
        "last: stale: page; making it anew",
    ]
    assert (listed.parent / "first" / "leaderboard.csv").is_file()
    assert said(listed, "first", "last")[1] == ["first: current", "last: current"]


def test_a_cell_that_fails_is_told_and_makes_the_command_fail(listed: Path) -> None:
    spec = listed.parents[1] / "toys.toml"
    spec.write_text(SPEC + '\n[[attacks]]\nname = "broken"\n')
    ok, lines = said(listed, "first")
    assert not ok
    assert "cells failed, the first: RuntimeError: out of luck" in lines[-1]


@pytest.mark.parametrize(
    ("names", "text", "reason"),
    [
        (["frist"], LIST, "did you mean first"),
        (["old"], LIST, "archived: made by hand"),
        ([], LIST.replace("shows", "show", 1), "shows is missing"),
        ([], "pages = 3", "pages is 3"),
        ([], "[[pages", "is not TOML"),
    ],
)
def test_mistakes_are_sentences(listed: Path, names: list[str], text: str, reason: str) -> None:
    listed.write_text(text)
    with pytest.raises(PriemoError, match=reason):
        said(listed, *names)


def test_options_that_the_command_has_not_are_a_failure_of_the_page(listed: Path) -> None:
    listed.write_text(listed.read_text().replace("--limit", "--limmit"))
    ok, lines = said(listed, "first")
    assert not ok
    assert "limmit" in lines[0]


def test_fer2013_is_added_to_commands_by_its_published_name(listed: Path) -> None:
    listed.write_text(
        '[[pages]]\nname = "faces"\ncommand = ["run", "fer2013"]\nshows = "-"\nfer2013 = true\n'
    )
    pages = Pages.load(listed)
    job: Any = pages.job(pages.pages[0], Path("elsewhere/mine.csv"), jobs=2)
    assert job.spec.datasets[0].data == Path("elsewhere/mine.csv")
    assert job.command == "priemo-bench run fer2013 --data fer2013.csv --out reports/faces"
    assert job.jobs == 2


def test_the_command_exits_with_1_where_a_page_fails(listed: Path) -> None:
    arguments = ["republish", "broken", "--pages", str(listed)]
    assert CliRunner().invoke(cli.app, arguments).exit_code == 1
    assert CliRunner().invoke(cli.app, [*arguments, "--dry-run"]).exit_code == 1
