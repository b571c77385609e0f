"""Pages of runs that are very small, very large, or failed; and of all published rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from priemo_bench.contracts.rows import Rows
from priemo_bench.report import page, write_overview

REPORTS = Path(__file__).parents[2] / "reports"
PUBLISHED = sorted(path.parent.name for path in REPORTS.glob("*/results.parquet"))
Open = Any
Change = Callable[[Rows], Rows]


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "save_figures", lambda *_: {})


def made(out: Path, change: Change, name: str = "default") -> Path:
    """The page of published rows, changed, in the folder `out`."""
    change(Rows.load(REPORTS / name / "results.parquet")).save(out / "results.parquet")
    page.write_report(out)
    return out


def one_row(rows: Rows) -> Rows:
    kept = [c for c in rows.facts["cells"] if (c["attack"], c["budget"]) == ("noise", "equal")]
    frame = rows.frame[(rows.frame["attack"] == "noise") & (rows.frame["budget"] == "equal")]
    return Rows(frame, {**rows.facts, "cells": kept[:1]})


def all_failed(rows: Rows) -> Rows:
    cells = [{**c, "status": "failed", "reason": "no luck"} for c in rows.facts["cells"]]
    return Rows(rows.frame.iloc[:0], {**rows.facts, "cells": cells})


def many(rows: Rows) -> Rows:
    """60 attacks and all seven victims: those of one under many names."""
    own = rows.frame[(rows.frame["attack"] == "pgd") & (rows.frame["budget"] == "equal")]
    own = own.assign(attack=own["attack"].astype(str))
    cells = [c for c in rows.facts["cells"] if (c["attack"], c["budget"]) == ("pgd", "equal")]
    names = [f"a-method-with-a-rather-long-name-{k}" for k in range(60)]
    frame = pd.concat([own.assign(attack=name) for name in names], ignore_index=True)
    facts = {**rows.facts, "cells": [{**c, "attack": name} for name in names for c in cells]}
    return Rows(frame, facts)


@pytest.mark.parametrize(
    ("change", "methods"),
    [(one_row, 1), (all_failed, 0), pytest.param(many, 60, marks=pytest.mark.slow)],
    ids=["one row", "all failed", "60 attacks"],
)
def test_extremes(tmp_path: Path, open_page: Open, change: Change, methods: int) -> None:
    out = made(tmp_path, change)
    for width in (1400, 390):
        opened = open_page(out, width)
        rows = opened.page.locator("#methods tr[data-key]:not(.child)")
        assert rows.count() == methods
        opened.drawn()
        assert opened.ask("document.documentElement.scrollWidth") == width
    if not methods:
        assert opened.page.locator("#failed tbody tr[data-dataset]").count() > 20
        assert "no luck" in opened.page.locator("#failed").inner_text()
    assert (out / "index.html").stat().st_size < 6e6


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_rows(tmp_path: Path, open_page: Open, name: str) -> None:
    out = made(tmp_path, lambda rows: rows, name)
    opened = open_page(out)
    opened.drawn()
    assert (out / "index.html").stat().st_size < 6e6
    for budget in opened.ask("[...document.querySelector('#filter-budget')?.options ?? []]"
                             ".map(option => option.value)"):  # fmt: skip
        opened.page.select_option("#filter-budget", budget)
        opened.drawn()


def test_the_overview_lists_every_page(tmp_path: Path, open_page: Open) -> None:
    (tmp_path / "pages.toml").write_text(
        """
        leaderboard = "b"
        [[pages]]
        name = "a"
        shows = "<script>window.hacked=1</script>"
        archived = "of another time"
        [[pages]]
        name = "b"
        shows = "the main job"
        [[pages]]
        name = "none"
        shows = "not there"
        """
    )
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for file in ("results.parquet", "methods.csv", "README.md"):
            (tmp_path / name / file).write_bytes((REPORTS / "default" / file).read_bytes())
    write_overview(tmp_path)
    opened = open_page(tmp_path)
    assert opened.ask("window.hacked") is None
    titles = opened.page.locator("h2").all_inner_texts()
    assert titles == ["The leaderboard", "Current pages", "Archived pages"]
    assert opened.page.locator(".card.first a").get_attribute("href") == "b/README.md"
    links = opened.ask("[...document.links].map(link => link.getAttribute('href'))")
    assert all((tmp_path / link).is_file() for link in links if not link.startswith("#"))
    best = pd.read_csv(tmp_path / "b" / "methods.csv")
    best = best[(best["budget"] == "equal") & ~best["targeted"] & best["within_budget"]]
    shown = opened.page.locator(".card.first tbody td:nth-child(3)").first.inner_text()
    assert shown.startswith(f"{100 * best['protection_rate'].max():.1f} ")
    opened.page.locator(".card.first a").hover()
