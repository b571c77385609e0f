"""Runs that are unlike are not compared as if they were alike; rates are counted by hand."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from priemo_bench.contracts.rows import Rows
from priemo_bench.errors import PriemoError
from priemo_bench.judge.compare import compared, regressions
from priemo_bench.report.terminal import comparison

_spec = spec_from_file_location("hand_made", Path(__file__).with_name("test_leaderboard.py"))
assert _spec is not None
assert _spec.loader is not None
_made = module_from_spec(_spec)
_spec.loader.exec_module(_made)
cell, rows = _made.cell, _made.rows

N = 40
KEPT, LOST = {"a": [6] * N}, {"a": [6] * 20 + [0] * 20}
DIGESTS = {f"i{i}": f"{i:08x}" for i in range(N)}


def save(folder: Path, *cells: Any, **facts: Any) -> Path:
    made = rows(*cells)
    known = {"data": {"d": {"pictures": DIGESTS}}, "victims": {"a": {"sha256": "0" * 64}}}
    Rows(made.frame, {**made.facts, **known, **facts}).save(folder / "results.parquet")
    return folder


def test_other_pixels_under_the_same_names_are_refused(tmp_path: Path) -> None:
    old = save(tmp_path / "old", cell([0] * N, KEPT))
    others = dict.fromkeys(DIGESTS, "ffffffff")
    new = save(tmp_path / "new", cell([0] * N, LOST), data={"d": {"pictures": others}})
    with pytest.raises(PriemoError, match="40 of d have the same names and other pixels"):
        compared(old, new)


def test_pictures_that_differ_are_left_out_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ten that are others now are those of which the new run loses ten."""
    label = [0] * N
    old = save(tmp_path / "old", cell(label, KEPT))
    digests = {**DIGESTS, **{f"i{i}": "ffffffff" for i in range(20, 30)}}
    new = save(tmp_path / "new", cell(label, LOST), data={"d": {"pictures": digests}})
    table = compared(old, new)
    (line,) = table.to_dict("records")
    assert (line["images"], line["rate_old"], line["rate_new"]) == (30, 1.0, 20 / 30)
    assert table.attrs["notes"] == ["left out: 10 of d have the same names and other pixels"]
    comparison(table)
    assert "10 of d have the same names" in " ".join(capsys.readouterr().out.split())


def test_rows_of_other_budgets_are_left_out(tmp_path: Path) -> None:
    """Those at conventional settings have no budget, and are compared."""
    cells = cell([0] * N, KEPT), cell([0] * N, KEPT, budget="conventional")
    worse = cell([0] * N, LOST), cell([0] * N, KEPT, budget="conventional")
    old = save(tmp_path / "old", *cells, ssim_floor=0.3, eps=None)
    new = save(tmp_path / "new", *worse, ssim_floor=0.997, eps=8 / 255)
    table = compared(old, new)
    assert table["budget"].tolist() == ["conventional"]
    assert regressions(table).empty
    assert "SSIM floor 0.3 and 0.997" in table.attrs["notes"][0]
    only = save(tmp_path / "only", cells[0], ssim_floor=0.3, eps=None)
    with pytest.raises(PriemoError, match=r"other budgets: SSIM floor 0\.3 and 0\.997"):
        compared(only, new)


def test_other_weights_are_said(tmp_path: Path) -> None:
    old = save(tmp_path / "old", cell([0] * N, KEPT))
    new = save(tmp_path / "new", cell([0] * N, LOST), victims={"a": {"sha256": "1" * 64}})
    table = compared(old, new)
    assert table.attrs["notes"] == ["a have other weights"]
    assert len(regressions(table)) == 1


@pytest.mark.parametrize("data", [{}, {"d": {}}, {"d": []}, [], None])
def test_runs_of_before_are_paired_by_name_and_it_is_said(tmp_path: Path, data: Any) -> None:
    old = save(tmp_path / "old", cell([0] * N, KEPT), data=data)
    new = save(tmp_path / "new", cell([0] * N, LOST))
    table = compared(old, new)
    assert table["images"].tolist() == [N]
    known = isinstance(data, dict) and data
    assert any("is not known" in note for note in table.attrs["notes"]) == bool(known)
