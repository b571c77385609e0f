"""Texts of tables, by hand; a new table or figure is one entry."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from priemo_bench.contracts.metric import MEASURES
from priemo_bench.contracts.rows import NAMED, ROW, Rows
from priemo_bench.report import figures, files, page, terminal
from priemo_bench.report.figures import ReportFigure
from priemo_bench.report.files import complete
from priemo_bench.report.formatting import (
    TextTable,
    decimal,
    interval,
    lines_of,
    markdown,
    percent,
    rate,
    whole,
)
from priemo_bench.report.page import write_report
from priemo_bench.report.tables import ReportTable
from priemo_bench.report.views import METHODS, Section, View, sections

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
        "ssim_floor": 0.997, "psnr_floor": NAN, "eps": 8 / 255,
        "fit_seconds": NAN, "n": 7, "seeds": 3, "survival": NAN, "worst_defense": NAN, **changes,
    }  # fmt: skip


def test_unknown_numbers_are_dashes() -> None:
    table = pd.DataFrame({"n": pd.array([1, pd.NA], dtype="Int64"), "x": [0.5, NAN]})
    assert [whole(line["n"]) for line in lines_of(table)] == ["1", "-"]
    assert [percent(NAN), decimal(NAN, 2), whole(NAN)] == ["-"] * 3
    line = {"a_rate": NAN, "a_low": NAN, "a_high": NAN}
    assert [rate(line, "a"), interval(line, "a")] == ["-"] * 2


def test_markdown_survives_bars_and_line_breaks() -> None:
    table = TextTable(["a", "b"], [["x|y", "1\n2"]])
    assert markdown(table).splitlines() == ["| a | b |", "|---|---|", r"| x\|y | 1 2 |"]


def test_methods_as_a_reader_sees_them() -> None:
    lines = [method(attack="loud", rank=pd.NA, within_budget=False), method(),
             method(attack="zero", untouched=1.0)]  # fmt: skip
    (section,) = _sections(lines)
    assert (
        section.title == "Equal quality: SSIM at least 0.997, no pixel moved by more than 8 of 255"
    )
    assert _line(section, 0) == {
        "rank": "1", "attack": "x, one strength", "scope": "class", "threat model": "white-box",
        "protection %": "50.0 [25.0, 75.0]", "transfer %": "30.0 [25.0, 75.0]", "SSIM": "0.9971",
        "PSNR": "41.3", "ms/image": "2.0",
    }  # fmt: skip
    last = _line(section, 1)
    assert len(section.table.rows) == 2  # the zero perturbation says nothing
    assert [last[name] for name in ("rank", "attack")] == ["-", "loud, one strength"]


def test_methods_without_effect_are_named_only() -> None:
    weak = {"protection_rate": 0.009, "transfer_rate": 0.0, "scale": "per image"}
    lines = [method(attack="a", **weak), method(), method(attack="b", **weak)]
    (section,) = _sections(lines)
    assert [row[1] for row in section.table.rows] == ["x, one strength"]
    assert section.foot == "No effect (below 1 %): a; b."
    (terminal,) = _sections(lines, terminal=True)
    assert (len(terminal.table.rows), terminal.foot) == (3, "")
    (elsewhere,) = _sections([method(attack="a", **{**weak, "transfer_rate": 0.01})])
    assert (len(elsewhere.table.rows), elsewhere.foot) == (1, "")


def test_methods_with_what_survives() -> None:
    own = {"survival_low": 0.2, "survival_high": 0.4}
    lines = [
        method(attack="a", survival=0.25, worst_defense=0.4, worst_filter="bits4", **own),
        method(attack="b", survival=0.3, worst_defense=0.35, worst_filter="median3", **own),
        method(attack="c"),
    ]
    (section,) = _sections(lines)
    assert [_line(section, k)["survival %"] for k in range(3)] == [
        "25.0 [20.0, 40.0]", "30.0 [20.0, 40.0]", "-",
    ]  # fmt: skip
    assert _line(section, 1)["worst filter %"] == "35.0 (median3)"


def test_each_budget_and_data_set_has_a_section() -> None:
    psnr = {"ssim_floor": NAN, "psnr_floor": 42.0}
    free = {"ssim_floor": NAN, "eps": NAN}
    lines = [method(), method(budget="conventional", **free),
             method(targeted=True, targeted_rate=0.9),
             method(budget="equal-0.95", ssim_floor=0.95, eps=32 / 255, attack="y"),
             method(dataset="c", budget="equal-psnr", **psnr)]  # fmt: skip
    found = _sections(lines)
    assert [section.title.split(", no pixel")[0] for section in found] == [
        "Equal energy: PSNR at least 42 dB", "Equal quality: SSIM at least 0.997",
        "Equal quality: SSIM at least 0.95", "Usual settings on d",
        "Targeted: SSIM at least 0.997",
    ]  # fmt: skip
    assert [section.title.endswith((" on c", " on d")) for section in found] == [True] * 5
    assert _line(found[-1], 0)["targeted %"] == "90.0"
    names = [_line(found[k], 0)["attack"] for k in (0, 2, 3)]
    assert names == ["x, one strength", "y, one strength", "x"]
    short = _sections(lines, terminal=True)
    assert [section.title for section in short] == [s.title for s in found[:3]]
    shown = [name for name in METHODS[0].terminal if name != "survival %"]
    assert short[0].table.headings == shown


def _sections(lines: list[dict[str, Any]], terminal: bool = False) -> list[Section]:
    """Of methods.csv, as computed."""
    methods = lines_of(pd.DataFrame(lines))
    return sections([(view, methods) for view in METHODS], terminal)


def _line(section: Section, row: int) -> dict[str, str]:
    return dict(zip(section.table.headings, section.table.rows[row], strict=True))


def facts(**changes: Any) -> dict[str, Any]:
    """Of a run of one cell, which failed."""
    named = {**dict.fromkeys(ROW, "x"), "budget": "equal"}
    cell = {**named, "seed": 0, "status": "failed", "reason": "luck"}
    return {
        "cells": [cell], "ssim_floor": 0.997, "eps": 8 / 255, "spec": "a = 1\n", "name": "small",
        "command": "run", "data": {}, "seeds": [0], "versions": {"priemo-bench": "0.3.0"},
        "machine": {"cpus": 1, "threads": 1, "device": "cpu", "system": "x"}, **changes,
    }  # fmt: skip


def no_rows() -> pd.DataFrame:
    return pd.DataFrame(
        {name: pd.Series(dtype=str if name in NAMED else int) for name in (*NAMED, *INTEGERS)}
    ).assign(**{name: pd.Series(dtype=float) for name in MEASURES})


INTEGERS = ("seed", "label", "clean", "prediction", "target_label")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with the rows of a run: three images, one victim."""
    ones = dict.fromkeys(("ssim", "ssim_full"), 1.0) | {"psnr": float("inf"), "linf": 0.0}
    texts = {**dict.fromkeys(NAMED, "x"), "defense": "none", "surrogate": "-", "target": "-"}
    texts["budget"] = "equal"
    frame = pd.DataFrame(
        [
            {**texts, **ones, "image": str(i), "seed": 0, "target_label": -1,
             **dict.fromkeys(("label", "clean", "prediction"), i % 2)}
            for i in range(3)
        ]
    )  # fmt: skip
    cell = {name: texts[name] for name in ROW} | {"seed": 0, "status": "done"}
    Rows(frame, facts(cells=[cell])).save(tmp_path / "results.parquet")
    return tmp_path


def test_a_new_table_is_one_entry(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = ReportTable(
        "labels",
        lambda tables: tables.rows.frame.groupby(["dataset", "label"]).size().reset_index(name="n"),
        (
            View(
                "Labels",
                lambda lines: TextTable(
                    ["label", "n"], [[str(line["label"]), str(line["n"])] for line in lines]
                ),
                "{n} labels.",
                terminal=("n",),
            ),
        ),
    )
    for module in (page, terminal, files):
        monkeypatch.setattr(module, "TABLES", (labels,))
    monkeypatch.setattr(figures, "FIGURES", ())
    write_report(run)
    assert (run / "labels.csv").read_text() == "dataset,label,n\nx,0,2\nx,1,1\n"
    text = "## Labels\n\n2 labels.\n\n| label | n |\n|---|---|\n| 0 | 2 |\n| 1 | 1 |\n"
    assert text in (run / "README.md").read_text()
    html = (run / "index.html").read_text()
    assert '<h2 id="further-0-title">Labels</h2>\n<p>2 labels.</p>' in html
    assert re.search(r"<th scope=\"row\">0</th>\s*<td[^>]*>2</td>", html)
    terminal.summary(run)
    assert "┃ n ┃" in capsys.readouterr().out
    assert complete(run)


def test_a_new_figure_is_one_entry(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "TABLES", ())

    def draw(lines: pd.DataFrame, figure: Figure) -> Axes:
        axis = figure.subplots()
        axis.plot(lines["a"])
        return axis

    entries = (
        ReportFigure("one", "A figure.", lambda tables, dataset: pd.DataFrame({"a": [1]}), draw),
        ReportFigure("none", "None.", lambda tables, dataset: pd.DataFrame({"a": []}), draw),
    )
    monkeypatch.setattr(figures, "FIGURES", entries)
    write_report(run)
    assert {path.name for path in (run / "figures").iterdir()} == {
        "one-x.png", "one-x.svg", "one-x.pdf", "one-x.csv",
    }  # fmt: skip
    assert "![A figure.](figures/one-x.png)" in (run / "README.md").read_text()


def test_a_report_is_complete_with_all_its_files_only(run: Path) -> None:
    assert not complete(run)
    write_report(run)
    for path in [path for path in run.rglob("*") if path.is_file()]:
        assert complete(run)
        kept = path.read_bytes()
        path.unlink()
        assert not complete(run), path
        path.write_bytes(kept)
        if path.name in ("results.parquet", "index.html"):
            (run / "index.html").touch()


def test_all_cells_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Rows(no_rows(), facts()).save(tmp_path / "results.parquet")
    write_report(tmp_path)
    for name in ("methods", "transfer", "defenses"):
        header, *lines = (tmp_path / f"{name}.csv").read_text().splitlines()
        assert "protection_rate" in header
        assert lines == []
    assert (tmp_path / "leaderboard.csv").read_text().count("failed") == 1
    assert "1 cells failed" in (tmp_path / "README.md").read_text()
    assert tuple(terminal.summary(tmp_path)) == (1, 0)
    assert "luck" in capsys.readouterr().out


def test_the_page_names_its_code_state(tmp_path: Path) -> None:
    path = tmp_path / "results.parquet"
    Rows(no_rows(), facts()).save(path)
    write_report(tmp_path)
    older = "made before code states were recorded"
    assert older in (tmp_path / "README.md").read_text()
    assert older in (tmp_path / "index.html").read_text()
    code = {"state": "0123456789ab", "run": "ba", "attacks": {"pgd": "cafe"}}
    Rows(no_rows(), facts(code=code)).save(path)
    write_report(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "**Code state**: `0123456789ab`" in text
    html = (tmp_path / "index.html").read_text()
    assert "<code>0123456789ab</code>" in html
    assert "<td>pgd</td><td><code>cafe</code></td>" in html


def test_costs_are_data(tmp_path: Path) -> None:
    (cell,) = facts()["cells"]
    seconds = {"fit": 1.5, "attack": 2.0, "write": None}
    cells = [{**cell, "seconds": seconds, "peak_mb": 5.0, "fit_forwards": 7}, {**cell, "seed": 1}]
    Rows(no_rows(), facts(cells=cells)).save(tmp_path / "results.parquet")
    write_report(tmp_path)
    costs = pd.read_csv(tmp_path / "costs.csv")
    assert costs["total_s"].tolist()[0] == 3.5
    assert costs[["fit_s", "attack_s", "peak_mb", "fit_forwards"]].iloc[0].tolist() == [
        1.5, 2.0, 5.0, 7.0,
    ]  # fmt: skip
    assert costs.loc[1, ["total_s", "fit_s", "write_s", "peak_mb"]].isna().all()


HOSTILE = "../../x<script>alert(1)</script>|$a^$ ![p](http://e/x.png)\n# [b]"


def test_names_of_strangers_stay_names(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No file outside the folder, no HTML, no picture, no heading, no formula of their own."""
    rows = Rows.load(run / "results.parquet")
    names = dict.fromkeys(("dataset", "attack", "victim"), HOSTILE)
    (cell,) = rows.facts["cells"]
    cells = [{**cell, **{k: v for k, v in names.items() if k in cell}}]
    cells += [{**cells[0], "seed": 1, "status": "failed", "reason": HOSTILE}]
    out = run / "a" / "b" / "c"
    changed = {**rows.facts, "cells": cells, "name": HOSTILE, "command": f"x\n```\n{HOSTILE}"}
    Rows(rows.frame.assign(**names), changed).save(out / "results.parquet")
    before = set(run.rglob("*"))
    write_report(out)
    assert all(out in path.parents for path in set(run.rglob("*")) - before)
    readme = (out / "README.md").read_text()
    assert "<script" not in readme
    assert "![p](" not in readme
    assert not [line for line in readme.splitlines() if line.startswith("# [b]")]
    assert "<script>alert" not in (out / "index.html").read_text()
    failures = readme.split("## Failures")[1].split("\n\n")[2].splitlines()
    assert len({line.replace(r"\|", "").count("|") for line in failures}) == 1
    monkeypatch.setenv("COLUMNS", "300")
    assert tuple(terminal.summary(out)) == (1, 0)
    assert "[b]" in capsys.readouterr().out
