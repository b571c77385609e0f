"""Protection-quality curves: a run for each floor, and the area under them."""

from __future__ import annotations

from math import log, sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from priemo_bench.curve import FLOORS, Curve, cap
from priemo_bench.errors import PriemoError
from priemo_bench.judge.curves import area
from priemo_bench.report.curves import TARGETED, TRANSFER
from priemo_bench.report.formatting import rate

SPEC = """
name = "small"
victims = ["toy-a"]
seeds = [0]
[[datasets]]
name = "toys"
[[attacks]]
name = "gradient"
[[attacks]]
name = "gradient"
label = "aimed"
targets = ["happy"]
[[attacks]]
name = "noise"
[[attacks]]
name = "nothing"
"""


def test_area_of_a_constant_is_the_constant() -> None:
    assert area(FLOORS, [0.4] * len(FLOORS)) == pytest.approx(0.4)


def test_area_is_the_mean_over_the_logarithm_of_the_drop() -> None:
    """A rate linear in log(drop) from 0 to 1 has its middle, in any order and any steps."""
    floors = np.array([0.9, 0.999, 0.95, 0.97])
    rates = (np.log(1 - floors) - log(0.001)) / (log(0.1) - log(0.001))
    assert area(floors.tolist(), rates.tolist()) == pytest.approx(0.5)
    half_way = 1 - sqrt(0.001 * 0.1)  # a step of the rate in the middle of the axis
    assert area([0.999, half_way, 0.9], [0, 0, 1]) == pytest.approx(0.25)


def test_caps_are_those_of_the_budgets_asked_for() -> None:
    assert [round(255 * cap(floor)) for floor in FLOORS] == [4, 8, 16, 16, 32, 32]


@pytest.mark.usefixtures("world")
def test_a_run_for_each_floor_and_one_table(tmp_path: Path) -> None:
    spec = tmp_path / "small.toml"
    spec.write_text(SPEC)
    curve = Curve(spec, (0.9, 0.99), tmp_path / "out")
    table = curve.run()
    assert set(table["attack"]) == {"gradient", "aimed", "noise"}  # nothing has no strength
    assert [p.name for p in sorted((tmp_path / "out").glob("ssim-*"))] == ["ssim-0.9", "ssim-0.99"]
    for _, part in table.groupby(["attack", "scope", "scale"]):
        assert part["ssim_floor"].tolist() == [0.99, 0.9]
        assert (part["ssim_worst"] >= part["ssim_floor"] - 1e-6).all()
        assert part["within_budget"].all()
        assert part["area"].iloc[0] == pytest.approx(part["protection_rate"].mean())
    gradient = table[table["attack"] == "gradient"].set_index("ssim_floor")["protection_rate"]
    assert gradient[0.9] >= gradient[0.99]
    stored = pd.read_csv(tmp_path / "out" / "curves.csv")
    pd.testing.assert_frame_equal(stored, table, check_exact=False, rtol=1e-4, check_dtype=False)
    page = (tmp_path / "out" / "README.md").read_text()
    assert "| gradient | image |" in page
    assert TARGETED in page
    assert TRANSFER not in page
    assert (tmp_path / "out" / "figures" / "curves-toys.png").stat().st_size > 1000
    again = Curve(spec, (0.9, 0.99), tmp_path / "out").run()
    pd.testing.assert_frame_equal(again, table)


@pytest.mark.usefixtures("world")
def test_transfer_victims_have_a_table_of_their_own(tmp_path: Path) -> None:
    spec = tmp_path / "small.toml"
    spec.write_text(SPEC.replace('["toy-a"]', '["toy-a", "toy-b"]\nsurrogates = ["toy-a"]'))
    table = Curve(spec, (0.9, 0.99), tmp_path / "out", attacks=("gradient",)).run()
    page = (tmp_path / "out" / "README.md").read_text()
    own = table[table["attack"] == "gradient"].set_index("ssim_floor")
    found = page.split(TRANSFER)[1]
    texts = [rate(own.loc[floor], "transfer") for floor in (0.99, 0.9)]
    assert f"| gradient | image | {texts[0]} | {texts[1]} |" in found


@pytest.mark.usefixtures("world")
def test_mistakes_are_named(tmp_path: Path) -> None:
    spec = tmp_path / "small.toml"
    spec.write_text(SPEC)
    for floors in ((0.9,), (0.9, 1.2), (0.9, 0.9)):
        with pytest.raises(PriemoError, match="floors are"):
            Curve(spec, floors)
    with pytest.raises(PriemoError, match="no attack of the spec has a strength"):
        Curve(spec, attacks=("nothing",))
