"""What the terminal prints, from csv files alone."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from priemo_bench.report.terminal import comparison, summary


def test_failures_are_printed_with_their_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "methods.csv").write_text("dataset,budget,attack,targeted,protection_rate\n")
    (tmp_path / "failures.csv").write_text(
        "dataset,budget,attack,surrogate,target,seed,reason\nd,equal,x,nan,-,0,out of luck\n"
    )
    summary(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert "Failures" in lines[0]
    assert any("nan" in line and "out of luck" in line for line in lines)  # a name, not a number
    assert lines[-1].endswith("README.md")


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
