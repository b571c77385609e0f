"""Pages in a real browser: Chromium without a window, from a file, without a network."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from priemo_bench.contracts.examples import Examples
from priemo_bench.contracts.rows import ROW, Rows
from priemo_bench.report import page, save_examples

REPORTS = Path(__file__).parents[2] / "reports"
CHROMIUM = next((p for n in ("chromium", "chromium-browser") if (p := shutil.which(n))), None)
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
HOSTILE = "<script>window.hacked=1</script>"
"""Stands for an attack's name: what it would do, were it not text."""
KEPT = ("priemo-image", "pgd", "mifgsm", "etc", "blur", "noise", "sga")
VICTIMS = ("resnet", "vgg", "repvgg", "pvt")


def _playwright() -> Any:
    return pytest.importorskip("playwright.sync_api", reason="needs priemo-bench[test]")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium; a test that needs it is skipped where there is none."""
    api = _playwright()
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


@dataclass
class Opened:
    """A page in the browser.

    Attributes:
        page: Playwright's. folder: that it lies in. said: lines on its console. errors: exceptions
            of its scripts. requests: all, but for data in the page itself.
    """

    page: Any
    folder: Path
    said: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def drawn(self) -> None:
        """Wait until every chart that is shown is drawn."""
        self.until(
            "() => [...document.querySelectorAll('.chart:not([hidden]) .plot')]"
            ".every(plot => plot.dataset.drawn && plot.querySelector('svg'))"
        )

    def until(self, script: str, *given: Any, seconds: float = 30) -> None:
        """Wait until a script answers true; `wait_for_function` would ask by eval, which the
        page's policy forbids."""
        late = time.monotonic() + seconds
        while not self.page.evaluate(script, *given):
            assert time.monotonic() < late, script
            self.page.wait_for_timeout(50)

    def ask(self, script: str, *given: Any) -> Any:
        """What a script answers in the page."""
        return self.page.evaluate(script, *given)


Open = Callable[..., Opened]


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """Open the index.html of a folder, as `Opened`, which must say and ask for nothing."""
    opened: list[tuple[Any, Opened]] = []

    def opening(folder: Path, width: int = 1400, **options: Any) -> Opened:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        found = Opened(context.new_page(), folder)
        found.page.on("console", lambda message: found.said.append(message.text))
        found.page.on("pageerror", lambda error: found.errors.append(str(error)))
        found.page.on(
            "request",
            lambda request: request.url.startswith("data:") or found.requests.append(request.url),
        )
        found.page.goto((folder / "index.html").as_uri())
        opened.append((context, found))
        return found

    yield opening
    for context, found in opened:
        assert (found.said, found.errors) == ([], [])
        assert found.requests == [(found.folder / "index.html").as_uri()]
        context.close()


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of some methods of reports/default, one of which has a hostile name.

    Beside the rows as they are: those of pgd again under another surrogate, a failed cell, faces.
    """
    out = tmp_path_factory.mktemp("run")
    rows = Rows.load(REPORTS / "default" / "results.parquet")
    frame = rows.frame[rows.frame["attack"].isin(KEPT) & rows.frame["victim"].isin(VICTIMS)]
    frame = frame.assign(**{name: frame[name].astype(str) for name in ROW})
    cells = [cell for cell in rows.facts["cells"] if cell["attack"] in KEPT]
    again = frame[(frame["attack"] == "pgd") & (frame["target"] == "-")].assign(surrogate="vgg")
    frame = pd.concat([frame, again]).replace({"attack": {"blur": HOSTILE}})
    cells += [
        {**c, "surrogate": "vgg"} for c in cells if (c["attack"], c["target"]) == ("pgd", "-")
    ]
    cells = [{**cell, "attack": cell["attack"].replace("blur", HOSTILE)} for cell in cells]
    failed = {**cells[0], "attack": "broken", "status": "failed", "reason": f"it is {HOSTILE}"}
    facts = {**rows.facts, "cells": [*cells, failed], "name": f"some {HOSTILE}"}
    Rows(frame.reset_index(drop=True), facts).save(out / "results.parquet")
    save_examples([_faces(frame, name) for name in ("priemo-image", "pgd")], out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "save_figures", lambda *_: {})  # drawn for seconds, tested elsewhere
        page.write_report(out)
    return out


def _faces(frame: pd.DataFrame, attack: str) -> Examples:
    """Two faces of a cell, as noise: it is their rows that are real."""
    own = frame[
        (frame["attack"] == attack) & (frame["budget"] == "equal") & (frame["target"] == "-")
    ]
    first = own.drop_duplicates("label").sort_values("label").head(2)
    cell = {name: str(first[name].iloc[0]) for name in ROW}
    draw = np.random.default_rng(0)
    originals = draw.integers(20, 230, (2, 3, 32, 40), np.uint8)
    changed = originals + draw.integers(0, 3, originals.shape, np.uint8)
    return Examples(cell, int(first["seed"].iloc[0]), tuple(first["image"]),
                    first["label"].to_numpy(), originals, changed)  # fmt: skip
