"""Runs with several SSIM floors, and runs merged into one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from priemo_bench import Benchmark, cli
from priemo_bench.benchmark import Results
from priemo_bench.contracts.budgets import Bounds, budgets, cap, kind
from priemo_bench.contracts.rows import Rows
from priemo_bench.errors import PriemoError
from priemo_bench.judge.curves import curves
from priemo_bench.judge.merging import merged

SPEC = """
name = "small"
victims = ["toy-a", "toy-b"]
surrogates = ["toy-a"]
ssim_floor = 0.99
eps_grid = [0.02, 0.05]
[[datasets]]
name = "toys"
[[attacks]]
name = "gradient"
budgets = ["equal", "equal-psnr"]
[[attacks]]
name = "noise"
budgets = ["equal"]
[[attacks]]
name = "nothing"
"""


@pytest.fixture
def spec(tmp_path: Path, world: dict[str, Any]) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SPEC)
    return path


def test_energy_beside_a_floor_grows_as_the_allowed_drop() -> None:
    """Ten times the drop is ten times the mean squared error: 10 dB."""
    own = budgets(Bounds(0.99, 40.0, 8 / 255), [0.9])
    assert own["equal-psnr-30"] == Bounds(None, 30.0, cap(0.9))
    assert [kind(name) for name in own] == ["equal", "equal", *["equal-psnr"] * 2, "conventional"]


def test_caps_are_those_of_the_budgets_asked_for() -> None:
    floors = (0.999, 0.997, 0.99, 0.98, 0.95, 0.90)
    assert [round(255 * cap(floor)) for floor in floors] == [4, 8, 16, 16, 32, 32]


def test_every_image_of_a_floor_keeps_it_and_its_cap(spec: Path, tmp_path: Path) -> None:
    run = Benchmark(spec, tmp_path / "out", floors=(0.9, 0.95), psnr_floor=40).run("quiet")
    table = run.methods()
    bounds = {
        name: (own.ssim_floor, own.psnr_floor, own.eps)
        for name, own in run.tables.rows.budgets.items()
    }
    rows = run.rows()
    for name, part in rows[rows["attack"] == "gradient"].groupby("budget", observed=True):
        ssim, psnr, eps = bounds[str(name)]
        assert (part["linf"] <= eps + 1e-9).all()
        if ssim is not None:
            assert part["ssim"].min() >= ssim - 1e-6
        else:
            assert part["psnr"].min() >= psnr - 1e-4
    gradient = table[table["attack"] == "gradient"].set_index("budget")
    assert set(gradient.index) == set(bounds) - {"conventional"}
    assert gradient["within_budget"].all()
    assert gradient.loc["equal-0.9", "ssim_floor"] == 0.9
    assert gradient.loc["equal-0.9", "psnr"] < gradient.loc["equal", "psnr"]
    assert gradient.loc["equal-0.9", "protection_rate"] >= gradient.loc["equal", "protection_rate"]
    assert set(table.loc[table["attack"] == "nothing", "budget"]) == {"equal"}


def test_a_curve_goes_from_the_highest_floor_down(spec: Path, tmp_path: Path) -> None:
    run = Benchmark(spec, tmp_path / "out", floors=(0.9,)).run("quiet")
    table = curves(run.tables)
    for _, part in table[table["attack"] != "nothing"].groupby(["attack", "scope", "scale"]):
        assert part["ssim_floor"].tolist() == [0.99, 0.9]
        assert part["area"].iloc[0] == pytest.approx(part["protection_rate"].mean())
    assert table.loc[table["attack"] == "nothing", "area"].isna().all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"floors": (0.99,)}, "give each once"),
        ({"floors": (0.9, 0.9)}, "give each once"),
        ({"floors": (1.2,)}, "between 0 and 1"),
        ({"floors": (0.9,), "ssim_floor": "none"}, "an SSIM floor beside them"),
    ],
)
def test_wrong_floors_are_named(spec: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(PriemoError, match=words):
        Benchmark(spec, **change)


def test_an_unknown_budget_is_named(spec: Path) -> None:
    spec.write_text(SPEC.replace('"equal-psnr"', '"equal-0.98"'))
    with pytest.raises(PriemoError, match=r"has rows of 'equal-0\.98', and the floors are 0\.99"):
        Benchmark(spec)
    Benchmark(spec, floors=(0.98,))


def test_runs_at_two_floors_merge_into_what_one_run_makes(spec: Path, tmp_path: Path) -> None:
    both = Benchmark(spec, tmp_path / "both", floors=(0.9,)).run("quiet")
    Benchmark(spec, tmp_path / "high").run("quiet")
    Benchmark(
        spec, tmp_path / "low", ssim_floor=0.9, eps=cap(0.9), attacks=("gradient", "noise")
    ).run("quiet")
    arguments = [
        "merge",
        *(str(tmp_path / n) for n in ("high", "low")),
        "--out",
        str(tmp_path / "m"),
    ]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0, result.output
    found = Results(tmp_path / "m")
    shown = ["budget", "attack", "rank", "protection_rate", "protection_low", "ssim", "eps"]
    a, b = (run.methods()[shown].sort_values(shown[:2], ignore_index=True) for run in (found, both))
    pd.testing.assert_frame_equal(a, b)
    assert "floors = [\n    0.9,\n]" in (tmp_path / "m" / "spec.toml").read_text()
    again = CliRunner().invoke(cli.app, arguments)
    assert isinstance(again.exception, PriemoError)
    assert "is not empty" in str(again.exception)


def test_seeds_of_two_machines_merge_into_one_row(spec: Path, tmp_path: Path) -> None:
    """The rate is the mean over seeds, and the run of both seeds in one place has the same rows."""
    together = Benchmark(spec, tmp_path / "t", attacks=("noise",), seeds=(0, 1)).run("quiet")
    parts = [
        Benchmark(spec, tmp_path / str(s), attacks=("noise",), seeds=(s,)).run("quiet").tables.rows
        for s in (0, 1)
    ]
    found = merged(parts, "merge")
    assert found.facts["seeds"] == [0, 1]
    by = ["budget", "seed", "victim", "defense", "image"]
    shown = [*by, "label", "prediction", "ssim"]
    a, b = (
        rows.frame.astype({n: str for n in by if n != "seed"})[shown].sort_values(
            by, ignore_index=True
        )
        for rows in (found, together.tables.rows)
    )
    pd.testing.assert_frame_equal(a, b)


def test_what_does_not_belong_together_is_refused(spec: Path, tmp_path: Path) -> None:
    one = Benchmark(spec, tmp_path / "1", attacks=("noise",)).run("quiet").tables.rows
    fewer = Benchmark(spec, tmp_path / "2", attacks=("noise",), limit=7).run("quiet").tables.rows
    with pytest.raises(PriemoError, match="other faces of toys"):
        merged([one, fewer], "")
    alone = Benchmark(spec, tmp_path / "3", attacks=("noise",), seeds=(1,), victims=("toy-a",))
    with pytest.raises(PriemoError, match="other victims or defenses judge noise"):
        merged([one, alone.run("quiet").tables.rows], "")
    with pytest.raises(PriemoError, match="give two or more"):
        merged([one], "")
    changed = one.frame.assign(prediction=(one.frame["prediction"] + 1) % 7)
    with pytest.raises(PriemoError, match="other results of noise"):
        merged([one, Rows(changed.astype({"prediction": np.int8}), one.facts, "b")], "")
    other = {**one.facts, "victims": {**one.facts["victims"], "toy-a": {"sha256": "0"}}}
    with pytest.raises(PriemoError, match="toy-a has other weights"):
        merged([one, Rows(one.frame, other, "b")], "")
    other = {
        **one.facts,
        "budgets": {"equal": {"ssim_floor": 0.99, "psnr_floor": None, "eps": 0.5}},
    }
    both = merged([one, Rows(one.frame, other, "b")], "")
    assert both.bounds_of("equal-0.99").eps == 0.5


def test_the_same_run_merges_into_itself(spec: Path, tmp_path: Path) -> None:
    rows = Benchmark(spec, tmp_path / "1", attacks=("noise",)).run("quiet").tables.rows
    both = merged([rows, rows], "")
    assert len(both.frame) == len(rows.frame)
    assert both.facts["cells"] == rows.facts["cells"]
