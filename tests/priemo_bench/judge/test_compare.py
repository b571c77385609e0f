"""Runs that are unlike are not compared as if they were alike; rates are counted by hand."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from priemo_bench.contracts.rows import Rows
from priemo_bench.errors import PriemoError
from priemo_bench.judge.compare import compared, regressions, sentence
from priemo_bench.report.comparison import comparison

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


@pytest.mark.parametrize("other", [DIGESTS | {"i7": "ffffffff"}, dict.fromkeys(DIGESTS, "0" * 8)])
def test_other_pixels_under_the_same_names_are_refused(
    tmp_path: Path, other: dict[str, str]
) -> None:
    old = save(tmp_path / "old", cell([0] * N, KEPT))
    new = save(tmp_path / "new", cell([0] * N, LOST), data={"d": {"pictures": other}})
    count = sum(DIGESTS[name] != other[name] for name in DIGESTS)
    with pytest.raises(PriemoError, match=f"{count} pictures of d have other pixels"):
        compared(old, new)


def test_further_pictures_are_no_other_pictures(tmp_path: Path) -> None:
    """The new run lacks those of which it would lose ten."""
    old = save(tmp_path / "old", cell([0] * N, KEPT))
    fewer = {name: digest for name, digest in DIGESTS.items() if int(name[1:]) < 30}
    new = save(tmp_path / "new", cell([0] * 30, {"a": [6] * 30}), data={"d": {"pictures": fewer}})
    (line,) = compared(old, new).to_dict("records")
    assert (line["images"], line["rate_old"], line["rate_new"]) == (30, 1.0, 1.0)


def test_other_budgets_under_the_same_name_are_refused(tmp_path: Path) -> None:
    cells = cell([0] * N, KEPT), cell([0] * N, KEPT, budget="conventional")
    old = save(tmp_path / "old", *cells, ssim_floor=0.3, eps=None)
    new = save(tmp_path / "new", *cells, ssim_floor=0.997, eps=8 / 255)
    with pytest.raises(PriemoError, match=r"equal is SSIM floor 0\.3 with cap on a pixel none"):
        compared(old, new)


def test_usual_settings_have_no_budget_that_could_differ(tmp_path: Path) -> None:
    only = cell([0] * N, KEPT, budget="conventional")
    old = save(tmp_path / "old", only, ssim_floor=0.3, eps=None)
    new = save(tmp_path / "new", only, ssim_floor=0.997, eps=8 / 255)
    assert sentence(compared(old, new)) == "nothing changed: 1 row agrees"


def test_other_weights_under_the_same_name_are_refused(tmp_path: Path) -> None:
    old = save(tmp_path / "old", cell([0] * N, KEPT))
    new = save(tmp_path / "new", cell([0] * N, LOST), victims={"a": {"sha256": "1" * 64}})
    with pytest.raises(PriemoError, match="victim a has other weights, under the same name"):
        compared(old, new)


@pytest.mark.parametrize("data", [{}, {"d": {}}, {"d": []}, [], None])
def test_runs_of_before_are_paired_by_name_and_it_is_said(tmp_path: Path, data: Any) -> None:
    old = save(tmp_path / "old", cell([0] * N, KEPT), data=data)
    new = save(tmp_path / "new", cell([0] * N, LOST))
    table = compared(old, new)
    assert table["images"].tolist() == [N]
    known = isinstance(data, dict) and data
    assert any("is not known" in note for note in table.attrs["notes"]) == bool(known)


def test_what_changed_is_shown_and_said_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of four rows loses half of the faces, one gains half, one loses one, one is the same."""
    one = {"a": [6] * (N - 1) + [0]}
    long = "an-attack-whose-name-is-far-longer-than-a-narrow-terminal-is-wide-" * 2
    names = [long, "better", "chance", "same"]
    before, after = [KEPT, LOST, KEPT, KEPT], [LOST, KEPT, one, KEPT]
    made = [
        [cell([0] * N, own, attack=name) for name, own in zip(names, side, strict=True)]
        for side in (before, after)
    ]
    old = save(tmp_path / "old", *made[0], cell([0] * N, KEPT, attack="gone"))
    new = save(tmp_path / "new", *made[1])
    table = compared(old, new)
    assert dict(zip(table["attack"], table["verdict"], strict=True)) == dict(
        zip(names, ["less", "more", "chance", "same"], strict=True)
    )
    assert regressions(table)["attack"].tolist() == [long]
    comparison(table)
    shown = capsys.readouterr().out
    *_, last = shown.splitlines()
    assert last == (
        "1 of 4 rows protects less; 1 protects more; 1 differs by no more than chance; 1 agrees"
    )
    assert "only in the old run, 1 rows: gone on a" in shown
    (line,) = [line for line in shown.splitlines() if long in line]
    for text in ("100.0 > 50.0", "-50.0 [-", "protect less"):
        assert text in line


def test_rows_that_agree_are_shown_on_request_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path, cell([0] * N, KEPT, attack="quiet"))
    table = compared(tmp_path, tmp_path)
    comparison(table)
    assert capsys.readouterr().out == "nothing changed: 1 row agrees\n"
    comparison(table, everything=True)
    assert "quiet" in capsys.readouterr().out
