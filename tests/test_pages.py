"""Published pages are no staler than the code, and the index lists them as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from priemo_bench.republish import Page, Pages

REPORTS = Path(__file__).parents[1] / "reports"
PAGES = Pages.load(REPORTS / "pages.toml")


@pytest.mark.parametrize("page", PAGES.named(()), ids=lambda page: page.name)
def test_a_page_is_as_new_as_the_code(page: Page) -> None:
    stale = PAGES.stale(page)
    assert not stale, (
        f"reports/{page.name} would be made differently today ({', '.join(stale)}); "
        f"`priemo-bench republish {page.name}` mends it"
    )


def test_every_folder_of_reports_is_listed() -> None:
    """But for the one that others' submissions go to."""
    folders = {f.name for f in REPORTS.iterdir() if f.is_dir()}
    assert {page.name for page in PAGES.pages} == folders - {"submissions"}


def test_the_index_is_what_pages_and_facts_say() -> None:
    assert (REPORTS / "README.md").read_text("utf-8") == PAGES.index()
