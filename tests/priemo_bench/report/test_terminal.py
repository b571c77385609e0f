"""What the terminal prints, from csv files alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from priemo_bench.errors import PriemoError
from priemo_bench.judge.columns import METHODS
from priemo_bench.report.terminal import SORTABLE, sort_heading, summary

LONG = "a-method-whose-name-goes-on-and-on-because-somebody-tried-many-settings-of-it"
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


@pytest.fixture
def two_threats(tmp_path: Path) -> Path:
    """Methods of two threat models, one of them under a very long name."""
    names = METHODS
    rows = [
        ("white-box", "pgd", 1, 0.5, 41.0), ("white-box", LONG, 2, 0.25, 48.0),
        ("transfer", "pgd", 1, 0.125, 43.0), ("white-box", "none", 3, 0.0, "inf"),
    ]  # fmt: skip
    lines = []
    for threat, attack, rank, rate, psnr in rows:
        own = {
            "dataset": "d", "budget": "equal", "attack": attack, "scope": "image", "scale": "-",
            "family": "per-image", "targeted": False, "threat": threat, "rank": rank,
            "protection_rate": rate, "protection_low": rate, "protection_high": rate, "psnr": psnr,
            "ssim": 0.997, "within_budget": True, "untouched": 0, "ms_per_image": 1, "n": 10,
            "ssim_floor": 0.997,
        }  # fmt: skip
        lines.append(",".join(str(own.get(name, "")) for name in names))
    (tmp_path / "methods.csv").write_text("\n".join([",".join(names), *lines]) + "\n")
    (tmp_path / "failures.csv").write_text(FAILURES)
    return tmp_path


def _column(text: str, at: int) -> list[str]:
    """Cells of the rows that are printed; a name that is folded is one."""
    rows = [line.split("│")[1:-1] for line in text.splitlines() if line.startswith("│")]
    found: list[str] = []
    for row in rows:
        if row[0].strip():
            found.append(row[at].strip())
        else:
            found[-1] += row[at].strip()
    return found


@pytest.mark.parametrize("columns", ["200", "70"])
def test_each_threat_model_has_a_table_and_names_are_whole(
    two_threats: Path, columns: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("COLUMNS", columns)
    summary(two_threats)
    said = capsys.readouterr().out
    titles = [line for line in said.splitlines() if "SSIM at least 0.997" in line]
    assert len(titles) == 2
    assert _column(said, 0) == ["1", "2", "3", "1"]
    assert _column(said, 1) == ["pgd", LONG, "none", "pgd"]
    assert "…" not in said


def test_methods_are_sorted_by_a_column(
    two_threats: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary(two_threats, sort_heading("psnr"))
    assert _column(capsys.readouterr().out, 1) == ["none", LONG, "pgd", "pgd"]
    summary(two_threats, sort_heading("attack"))
    assert _column(capsys.readouterr().out, 1) == [LONG, "none", "pgd", "pgd"]
    summary(two_threats, sort_heading("survival"))  # unknown of all: as they were
    assert _column(capsys.readouterr().out, 1) == ["pgd", LONG, "none", "pgd"]


def test_what_methods_cannot_be_sorted_by_is_said() -> None:
    assert {sort_heading(heading) for heading in SORTABLE} == set(SORTABLE)
    with pytest.raises(PriemoError, match="did you mean psnr"):
        sort_heading("psnrr")


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
