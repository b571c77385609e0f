"""Tables in other formats say what the DataFrame says, and print what they are given as text."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from priemo_bench.errors import PriemoError
from priemo_bench.judge.glossary import HIGHER
from priemo_bench.report.export import (
    SHORT,
    as_html,
    as_json,
    as_latex,
    as_markdown,
    check_formats,
    save_table,
    schema,
    write_tables,
)
from priemo_bench.report.tables import TABLES
from priemo_bench.results import Results

NAN = float("nan")
EVIL = r"<script>alert(1)</script> \input{x} $y$ 50% a_b & c | d"


def _line(**changes: Any) -> dict[str, Any]:
    return {
        "dataset": "d", "budget": "equal", "ssim_floor": 0.997, "psnr_floor": NAN, "attack": "pgd",
        "scope": "image", "scale": "-", "targeted": False, "threat": "white-box", "rank": 1,
        "protection_rate": 0.5, "protection_low": 0.25, "protection_high": 0.75, "survival": NAN,
        "survival_low": NAN, "survival_high": NAN, "transfer_rate": 0.1234, "transfer_low": 0.1,
        "transfer_high": 0.2, "ssim": 0.9971, "psnr": 44.0, "ms_per_image": 10.0, **changes,
    }  # fmt: skip


TABLE = pd.DataFrame(
    [
        _line(attack="worse", rank=3, protection_rate=0.25),
        _line(attack="tied", protection_rate=0.49),
        _line(attack="best", protection_rate=0.5),
        _line(attack="not ranked", rank=NAN, protection_rate=0.9, psnr=np.inf),
        _line(attack="alone", threat="transfer", protection_rate=0.1),
        _line(attack=EVIL, threat="no-model", rank=2, protection_rate=0.0),
    ]
)


def _rows_of(latex: str) -> list[list[str]]:
    body = latex.partition(r"\midrule")[2].partition(r"\bottomrule")[0]
    return [line.strip().removesuffix(r" \\").split(" & ") for line in body.strip().splitlines()]


def test_latex_has_the_best_in_bold_and_marks_its_ties() -> None:
    found = {row[1]: row for row in _rows_of(as_latex(TABLE, "methods"))}
    assert found["best"][4] == r"\textbf{50.0 [25.0, 75.0]}"
    assert found["tied"][4] == r"49.0 [25.0, 75.0]\,$^{=}$"
    assert found["alone"][4].startswith(r"\textbf{")
    for name in ("worse", "not ranked"):
        assert found[name][4][0].isdigit()
        assert "$" not in found[name][4]
    assert list(found)[:4] == ["not ranked", "best", "tied", "worse"]


def test_latex_is_whole_and_prints_names_as_they_are() -> None:
    text = as_latex(TABLE, "methods")
    for begin, end in ((r"\begin{tabular}", r"\end{tabular}"), (r"\toprule", r"\bottomrule")):
        assert text.count(begin) == text.count(end) == 1
    kinds = text.partition(r"\begin{tabular}{")[2].partition("}")[0]
    heads = text.partition(r"\toprule")[2].partition(r"\\")[0].strip().split(" & ")
    assert len(heads) == len(kinds)
    assert heads[:2] == ["rank", "attack"]  # one budget needs no column, nothing survived
    assert r"protection \%" in heads
    (evil,) = (row[1] for row in _rows_of(text) if "script" in row[1])
    assert r"\textbackslash{}input\{x\}" in evil
    assert r"\$y\$ 50\% a\_b \& c \textbar{} d" in text
    bare = text.replace(r"\%", "").replace("% ", "").replace("%\n", "")
    assert "<" not in bare


def test_a_row_that_begins_with_a_bracket_is_no_argument_of_the_row_before() -> None:
    table = pd.DataFrame({"dataset": ["a", "[b]"], "n": [1, 2]})
    text = as_latex(table, "transfer")
    assert "\n  {}[b] & 2" in text


def test_json_follows_its_schema_and_has_every_value() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    text = as_json(TABLE, "methods", {"name": "n", "command": "c"})
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(found, schema())
    assert [own["name"] for own in found["columns"]] == list(TABLE)
    rate = next(own for own in found["columns"] if own["name"] == "protection_rate")
    assert (rate["unit"], rate["direction"]) == ("share from 0 to 1", HIGHER)
    assert [row["protection_rate"] for row in found["rows"]] == TABLE["protection_rate"].tolist()
    assert [row["attack"] for row in found["rows"]] == TABLE["attack"].tolist()
    assert found["rows"][3]["psnr"] is None
    assert found["rows"][3]["rank"] is None
    assert found["rows"][0]["targeted"] is False
    for broken in ({}, {**found, "rows": [{"a": [1]}]}, {**found, "run": {"more": "x"}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema())


class _Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.rows: list[list[str]] = []
        self.titles: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.titles += [dict(attrs).get("title")] if tag == "th" else []

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.rstrip("\n")


def test_html_shows_names_as_text_and_explains_every_heading() -> None:
    page = _Cells()
    page.feed(as_html(TABLE, "methods"))
    assert set(page.tags) == {"table", "thead", "tbody", "tr", "th", "td"}
    assert [row[1] for row in page.rows[1:]].count(EVIL) == 1
    assert all(page.titles)
    assert page.rows[0][4] == "protection %"
    assert page.rows[2][4] == "50.0 [25.0, 75.0]"


def test_markdown_is_the_same_table() -> None:
    lines = as_markdown(TABLE, "methods").splitlines()
    assert lines[0].startswith("| rank | attack | scope | threat model | protection % |")
    assert len(lines) == 2 + len(TABLE)
    assert "<script>" not in "".join(lines)


def test_shares_are_per_cent_where_the_heading_says_so() -> None:
    table = pd.DataFrame(
        [{"attack": "a", "clean_accuracy": 0.875, "n": 12.0, "psnr": 40.25, "flip_rate": NAN}]
    )
    first, _, line = as_markdown(table, "transfer").splitlines()
    cells = dict(zip(first.split(" | "), line.split(" | "), strict=True))
    assert cells["clean accuracy %"] == "87.5"
    assert cells["n"] == "12"
    assert cells["PSNR"] == "40.25"


def test_a_suffix_says_the_format(tmp_path: Path) -> None:
    for suffix in ("csv", "parquet", "json", "md", "tex", "html"):
        save_table(TABLE, "methods", tmp_path / f"t.{suffix}", {})
        assert (tmp_path / f"t.{suffix}").stat().st_size
    read = pd.read_parquet(tmp_path / "t.parquet")
    assert read["protection_rate"].tolist() == TABLE["protection_rate"].tolist()
    assert pd.read_csv(tmp_path / "t.csv")["attack"].tolist() == TABLE["attack"].tolist()
    with pytest.raises(PriemoError, match=r"none of \.csv"):
        save_table(TABLE, "methods", tmp_path / "t.xlsx", {})
    with pytest.raises(PriemoError, match="did you mean latex"):
        check_formats(["json", "latexx"])


def test_every_table_of_a_run_is_written_in_further_formats(tmp_path: Path) -> None:
    (tmp_path / "results.parquet").write_bytes(
        Path("reports/transfer-filters/results.parquet").read_bytes()
    )
    write_tables(tmp_path, check_formats(("json", "latex")), ())
    names = {own.name for own in TABLES if own.csv}
    assert {path.stem for path in tmp_path.glob("*.json")} == names
    assert {path.stem for path in tmp_path.glob("*.tex")} == names
    found = json.loads((tmp_path / "methods.json").read_text())
    rates = Results(tmp_path).methods()["protection_rate"].tolist()
    assert [row["protection_rate"] for row in found["rows"]] == pytest.approx(rates, abs=1e-6)


def test_short_tables_are_of_columns_that_tables_have() -> None:
    assert set(SHORT) == {"methods", "leaderboard"}
    results = Results("reports/fer2013")
    for name in SHORT:
        table = getattr(results, name)()
        assert len(as_markdown(table, name).splitlines()) == 2 + len(table)
