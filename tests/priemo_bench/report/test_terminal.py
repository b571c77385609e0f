"""What the terminal prints, from csv files alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from priemo_bench.errors import PriemoError
from priemo_bench.report.terminal import comparison, summary

FAILURES = "dataset,budget,attack,family,scope,scale,surrogate,target,seed,part,reason\n"


def test_failures_are_printed_with_their_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "methods.csv").write_text("dataset,budget,attack,targeted,protection_rate\n")
    (tmp_path / "failures.csv").write_text(
        FAILURES + "d,equal,x,f,s,-,nan,-,0,cell,out of luck\n"
        "d,equal,y,f,s,-,a,-,0,victim b,it broke\n"
        "d,equal,y,f,s,-,a,-,0,metric m,it broke\n"
    )
    assert tuple(summary(tmp_path)) == (1, 1)  # both parts are of one cell
    lines = capsys.readouterr().out.splitlines()
    assert "Failures" in lines[0]
    assert any("nan" in line and "out of luck" in line for line in lines)  # a name, not a number
    assert any("victim b" in line for line in lines)
    assert lines[-2] == "1 cells failed, 1 are incomplete"
    assert lines[-1].endswith("README.md")


@pytest.mark.parametrize("damage", ["", "dataset\nd\n", FAILURES + 'd,"'])
def test_a_damaged_table_is_a_sentence(tmp_path: Path, damage: str) -> None:
    (tmp_path / "failures.csv").write_text(damage or FAILURES)
    if damage:
        (tmp_path / "methods.csv").write_text("dataset,budget,attack,targeted\n")
    with pytest.raises(PriemoError, match="priemo-bench report"):
        summary(tmp_path)


def test_a_finished_run_is_shown_without_pandas() -> None:
    """Nor is there need of it to see whether all files are there."""
    code = (
        "import sys, priemo_bench.report.terminal, priemo_bench.report as r; r.complete; "
        "print(sorted({'pandas', 'pyarrow', 'numpy', 'matplotlib', 'torch'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "[]"


def test_comparison_prints_ranks_and_changes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    line = {
        "budget": "equal", "attack": "x", "surrogate": "a", "target": "-", "rank_old": 1,
        "rank_new": pd.NA, "rate_old": 0.5, "rate_new": 0.25, "change": -0.25,
        "change_low": -0.4, "change_high": -0.1, "p": 0.0123,
    }  # fmt: skip
    comparison(pd.DataFrame([line]))
    shown = capsys.readouterr().out
    for text in ("equal SSIM", "1 > -", "50.0", "25.0", "-25.0 [-40.0, -10.0]", "0.012"):
        assert text in shown
