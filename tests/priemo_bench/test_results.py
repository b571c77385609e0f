"""A finished run as tables, figures and files; from rows that are published."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from priemo_bench import PriemoError, Results
from priemo_bench.contracts.rows import Rows
from priemo_bench.judge import columns
from priemo_bench.judge.columns import CURVES
from priemo_bench.judge.curves import KEYS, SHOWN
from priemo_bench.report.figures import FIGURES
from priemo_bench.results import GLOSSED, TABLES

RUN, ONE_FLOOR = Path("reports/fer2013"), Path("reports/defenses")


@pytest.fixture(scope="module")
def results() -> Results:
    return Results(RUN)


@pytest.mark.parametrize("name", TABLES)
def test_every_table_says_what_its_columns_hold(results: Results, name: str) -> None:
    table = getattr(results, name)()
    assert isinstance(table, pd.DataFrame)
    assert list(table.attrs["columns"]) == list(table.columns)
    for own in table.attrs["columns"].values():
        assert set(own) == {"text", "unit", "direction"}
        assert own["text"]
    if name != "failures":
        assert len(table), name


def test_tables_have_the_columns_that_are_declared(results: Results) -> None:
    for name, table in GLOSSED.items() | {(name, name) for name in TABLES if name not in GLOSSED}:
        found = list(getattr(results, name)().columns)
        order = list if table != "results" else sorted
        assert order(found) == order(columns.TABLES[table]), name


def test_rates_of_all_tables_are_shares(results: Results) -> None:
    for name in ("methods", "leaderboard", "transfer", "defenses"):
        table = getattr(results, name)()
        shares = [
            c for c, own in table.attrs["columns"].items() if own["unit"] == "share from 0 to 1"
        ]
        assert shares
        values = table[shares].to_numpy(float)
        values = values[~np.isnan(values)]
        assert values.min() >= 0, name
        assert 0.5 < values.max() <= 1, name


def test_the_methods_are_what_their_csv_says(results: Results) -> None:
    written = pd.read_csv(RUN / "methods.csv")
    rates = results.methods()["protection_rate"].to_numpy()
    assert np.allclose(rates, written["protection_rate"], atol=1e-5)


def test_a_run_of_one_floor_has_no_curve() -> None:
    results = Results(ONE_FLOOR)
    assert results.curve().empty
    assert list(results.curve().columns)[: len(CURVES)] == CURVES
    assert [*KEYS, "area", *SHOWN] == CURVES
    with pytest.raises(PriemoError, match="nothing for the figure 'curve'"):
        results.plot("curve")


def test_a_run_of_two_floors_has_a_curve(tmp_path: Path) -> None:
    """The rows of a run, and the same under another floor's name."""
    rows = Rows.load(ONE_FLOOR / "results.parquet")
    frame = rows.frame[rows.frame["defense"] == "none"]
    lower = frame.assign(budget="equal-0.98")
    cells = [{**c, "budget": b} for c in rows.facts["cells"] for b in ("equal", "equal-0.98")]
    bounds = {"equal": 0.997, "equal-0.98": 0.98, "conventional": 0.997}
    budgets = {
        name: {"ssim_floor": floor, "psnr_floor": None, "eps": 16 / 255}
        for name, floor in bounds.items()
    }
    both = pd.concat([frame.astype({"budget": str}), lower], ignore_index=True)
    facts = {**rows.facts, "cells": cells, "budgets": budgets}
    Rows(both, facts).save(tmp_path / "results.parquet")
    two = Results(tmp_path)
    curve = two.curve()
    methods = two.methods()
    assert len(curve) == len(methods)
    assert curve["area"].notna().all()
    own = curve.groupby(["attack", "threat", "scale", "targeted"])
    assert (own["ssim_floor"].agg(set).map(sorted).map(tuple) == (0.98, 0.997)).all()
    assert np.allclose(own["protection_rate"].max(), own["area"].first())  # level
    axis = two.plot("curve", figure=Figure())
    assert [text.get_text() for text in axis.get_xticklabels()] == ["0.997", "0.98"]


def test_a_figure_is_drawn_from_a_run(results: Results) -> None:
    axis = results.plot(figure=Figure())
    assert isinstance(axis, Axes)
    shown = {text.get_text() for text in axis.get_yticklabels()}
    assert {"pgd", "priemo-image", "noise"} <= shown
    own = results.plot("speed").figure  # for a notebook, by pyplot
    assert own.number in plt.get_fignums()
    plt.close(own)
    with pytest.raises(PriemoError, match="did you mean speed"):
        results.plot("sped")
    with pytest.raises(PriemoError, match="rendered"):
        results.plot("speed", dataset="rendered")
    assert "speed" in {own.name for own in FIGURES}


def test_a_table_is_saved_by_its_suffix(results: Results, tmp_path: Path) -> None:
    results.save(tmp_path / "m.json")
    found = json.loads((tmp_path / "m.json").read_text())
    assert found["table"] == "methods"
    assert found["run"]["name"] == "fer2013"
    assert len(found["rows"]) == len(results.methods())
    results.save(tmp_path / "t.csv", "transfer")
    assert len(pd.read_csv(tmp_path / "t.csv")) == len(results.transfer())
    for path, table, words in (
        ("m.docx", "methods", "ends with none"),
        ("m.csv", "method", "did you mean methods"),
    ):
        with pytest.raises(PriemoError, match=words):
            results.save(tmp_path / path, table)


def test_it_says_what_is_there(results: Results, tmp_path: Path) -> None:
    said = repr(results)
    assert "12 attacks, 8 victims, 11 defenses, 7 budgets, 200 faces of fer2013" in said
    assert all(name in said for name in TABLES)
    assert "nothing is there" in repr(Results(tmp_path))
    assert "nothing is there" in Results(tmp_path)._repr_html_()
    (tmp_path / "results.parquet").write_bytes(b"no parquet")
    assert "damaged" in repr(Results(tmp_path))
    page = results._repr_html_()
    assert page.count("<table>") == 1
    assert "priemo-image" in page


def test_what_it_has_is_found_without_pandas() -> None:
    code = (
        "import sys; from priemo_bench import Results; Results('nowhere'); "
        "print(sorted({'pandas', 'numpy', 'torch', 'matplotlib'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "[]"
