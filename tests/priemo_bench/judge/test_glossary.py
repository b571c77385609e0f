"""Every column of every table stands in the glossary, and nothing else does."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from priemo_bench.judge.columns import TABLES
from priemo_bench.judge.glossary import GLOSSARY, HIGHER, LOWER, column, described
from priemo_bench.report.columns import BEHIND, FORMATTERS, behind

REPORTS = Path("reports")
FILES = sorted(
    path
    for path in (*REPORTS.glob("*/*.csv"), *REPORTS.glob("*/results.parquet"))
    if path.stem in TABLES or path.name in ("curves.csv", "results.parquet")
)


def _known(table: str, name: str) -> str:
    return f"{table}.{name}" if f"{table}.{name}" in GLOSSARY else name


def test_it_has_every_column_of_every_table_and_no_other() -> None:
    wanted = {_known(table, name) for table, names in TABLES.items() for name in names}
    assert wanted == set(GLOSSARY)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_it_has_every_column_of_what_is_published(path: Path) -> None:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            names = next(csv.reader(file))
    else:
        names = pq.read_schema(path).names
    assert [name for name in names if _known(path.stem, name) not in GLOSSARY] == []


def test_an_entry_says_what_unit_and_which_way() -> None:
    for key, own in GLOSSARY.items():
        assert key.rpartition(".")[2] == own.name
        assert min(len(own.heading), len(own.unit), len(own.text)) > 0, key
        assert not own.text.endswith("."), key
        assert own.direction in (HIGHER, LOWER, "")
        if own.heading.endswith("%"):
            assert "share" in own.unit, key  # per cent on a page, a share in csv files


def test_every_heading_of_the_page_has_columns_behind_it() -> None:
    for heading in FORMATTERS:
        assert behind(heading), heading
    assert set(BEHIND) <= set(FORMATTERS)
    assert behind("no heading") == ()


def test_one_name_may_mean_something_else_in_another_table() -> None:
    assert column("threat", "adversaries").text.startswith("what he knows")
    assert column("threat", "methods") == column("threat")
    assert column("own_metric").unit == "number"
    assert described(["n"], "defenses")["n"]["text"] != described(["n"])["n"]["text"]


def test_it_imports_nothing_heavy() -> None:
    code = "import sys, priemo_bench.judge.glossary; print('numpy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert found.stdout.strip() == "False"
