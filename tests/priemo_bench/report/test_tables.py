"""Texts of tables, by hand; a new table or figure is one entry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure

from priemo_bench.contracts.rows import ROW, Rows
from priemo_bench.report import figures, page, terminal
from priemo_bench.report.figures import ReportFigure
from priemo_bench.report.formatting import decimal, interval, markdown, percent, rate, whole
from priemo_bench.report.page import write_report
from priemo_bench.report.tables import METHODS, TABLES, ReportTable, View, sections

NAN = float("nan")


def method(**changes: Any) -> dict[str, Any]:
    """A line of `Tables.methods`."""
    rates = ("protection", "macro", "transfer", "next")
    return {
        **{f"{name}_low": 0.25 for name in rates}, **{f"{name}_high": 0.75 for name in rates},
        "dataset": "d", "budget": "equal", "attack": "x", "scope": "class", "scale": "one",
        "targeted": False, "threat": "white-box", "rank": 1, "rank_other": pd.NA, "lowest": 0.4,
        "protection_rate": 0.5, "macro_protection_rate": 0.4, "transfer_rate": 0.3,
        "targeted_rate": NAN, "n_transfer": 3, "n_without_kin": 1.0, "transfer_without_kin": 0.351,
        "transfer_minus_noise": 0.2, "budget_used": 0.996, "on_floor": 0.982, "untouched": 0.0,
        "ssim": 0.9971, "ssim_worst": 0.99701, "psnr": 41.26, "within_budget": True,
        "ms_per_image": 2.0, "forwards_per_image": 25.0, "backwards_per_image": 24.0,
        "fit_seconds": NAN, "n": 7, "seeds": 3, **changes,
    }  # fmt: skip


def test_unknown_numbers_are_dashes() -> None:
    assert [percent(NAN), decimal(NAN, 2), whole(pd.NA)] == ["-"] * 3
    line = pd.Series({"a_rate": NAN, "a_low": NAN, "a_high": NAN})
    assert [rate(line, "a"), interval(line, "a")] == ["-"] * 2


def test_markdown_survives_bars_and_line_breaks() -> None:
    table = pd.DataFrame({"a": ["x|y"], "b": ["1\n2"]})
    assert markdown(table).splitlines() == ["| a | b |", "|---|---|", r"| x\|y | 1 2 |"]


def test_methods_as_a_reader_sees_them() -> None:
    first = method(rank_other=2)
    lines = [method(attack="loud", rank=pd.NA, within_budget=False, n_without_kin=0), first,
             method(attack="zero", untouched=1.0)]  # fmt: skip
    (section,) = sections(TABLES, _only(methods=pd.DataFrame(lines)))
    assert section.title == "Equal quality: one SSIM floor"
    assert section.table.iloc[0].to_dict() == {
        "rank": "1", "rank at equal PSNR": "2", "attack": "x, one strength", "scope": "class",
        "threat model": "white-box", "protection %": "50.0 [25.0, 75.0]", "worst surrogate": "40.0",
        "macro %": "40.0 [25.0, 75.0]", "transfer %": "30.0 [25.0, 75.0]",
        "next victim": "[25.0, 75.0]", "without kin": "35.1 (1 of 3)", "minus noise": "20.0",
        "budget used (on floor)": "99.6 (98.2)", "SSIM": "0.9971", "worst SSIM": "0.9970",
        "PSNR": "41.3", "within": "yes", "ms/image": "2.0", "passes f+b": "25+24", "fit s": "-",
        "n": "7", "seeds": "3",
    }  # fmt: skip
    last = section.table.iloc[1]
    assert len(section.table) == 2  # the zero perturbation says nothing
    assert last[["rank", "attack", "within", "without kin"]].tolist() == [
        "-", "loud, one strength", "no", "none (0 of 3)",
    ]  # fmt: skip


def test_each_budget_and_data_set_has_a_section() -> None:
    lines = [method(), method(budget="conventional"), method(targeted=True, targeted_rate=0.9),
             method(dataset="c", budget="equal-psnr")]  # fmt: skip
    found = sections(TABLES, _only(methods=pd.DataFrame(lines)))
    assert [section.title for section in found] == [
        "Equal energy: one PSNR floor on c", "Equal quality: one SSIM floor on d",
        "Usual settings on d", "Targeted on d",
    ]  # fmt: skip
    assert found[-1].table["targeted %"].tolist() == ["90.0"]
    assert found[0].table["attack"].tolist() == ["x, one strength"]
    assert found[2].table["attack"].tolist() == ["x"]
    short = sections(TABLES, _only(methods=pd.DataFrame(lines)), terminal=True)
    assert [section.title for section in short] == [found[0].title, found[1].title]
    assert tuple(short[0].table) == METHODS[0].terminal


def _only(**frames: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {table.name: frames.get(table.name, pd.DataFrame()) for table in TABLES}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with the rows of a run: three images, one victim, a cell that failed."""
    row = dict.fromkeys(ROW, "x")
    frame = pd.DataFrame([{**row, "victim": "v", "image": i, "label": i % 2} for i in range(3)])
    machine = {"cpus": 1, "threads": 1, "device": "cpu", "system": "x"}
    facts = {
        "cells": [{**row, "status": "failed"}], "ssim_floor": 0.997, "eps": 8 / 255, "spec": "",
        "name": "small", "command": "run", "data": {}, "seeds": [0], "versions": {},
        "machine": machine,
    }  # fmt: skip
    Rows(frame, facts).save(tmp_path / "results.parquet")
    return tmp_path


def test_a_new_table_is_one_entry(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = ReportTable(
        "labels",
        lambda tables: tables.rows.frame.groupby(["dataset", "label"]).size().reset_index(name="n"),
        (View("Labels", lambda t: t[["label", "n"]].astype(str), "{n} labels.", terminal=("n",)),),
    )
    for module in (page, terminal):
        monkeypatch.setattr(module, "TABLES", (labels,))
    monkeypatch.setattr(figures, "FIGURES", ())
    write_report(run)
    assert (run / "labels.csv").read_text() == "dataset,label,n\nx,0,2\nx,1,1\n"
    text = "## Labels\n\n2 labels.\n\n| label | n |\n|---|---|\n| 0 | 2 |\n| 1 | 1 |\n"
    assert text in (run / "README.md").read_text()
    assert "<td>0</td><td>2</td>" in (run / "index.html").read_text()
    terminal.summary(run)
    assert "┃ n ┃" in capsys.readouterr().out


def test_a_new_figure_is_one_entry(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "TABLES", ())
    entries = (
        ReportFigure("empty", "An empty figure.", lambda tables, dataset: Figure()),
        ReportFigure("none", "None.", lambda tables, dataset: None),
    )
    monkeypatch.setattr(figures, "FIGURES", entries)
    write_report(run)
    assert [path.name for path in (run / "figures").iterdir()] == ["empty-x.png"]
    assert "![An empty figure.](figures/empty-x.png)" in (run / "README.md").read_text()
