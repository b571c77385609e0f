"""Cells that have lost a victim, a defense or a metric: the rest counts, and what is lost is said.

Rows and cells are made by hand; expected rates are counted by hand.
"""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from priemo_bench.contracts.rows import Rows
from priemo_bench.judge.compare import compared, regressions
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.judge.ranking import compare_rows

_spec = spec_from_file_location("hand_made", Path(__file__).with_name("test_leaderboard.py"))
assert _spec is not None
assert _spec.loader is not None
_made = module_from_spec(_spec)
_spec.loader.exec_module(_made)
cell, rows = _made.cell, _made.rows

Cell = tuple[pd.DataFrame, dict[str, Any]]


def lost(made: Cell, *parts: str) -> Cell:
    """The cell as the runner keeps one that has lost these parts."""
    frame, facts = made
    reasons = [{"part": part, "reason": f"{part} broke"} for part in parts]
    return frame, {**facts, "status": "incomplete", "lost": reasons}


def test_rates_are_of_the_victims_that_are_there() -> None:
    made = cell([0, 1], {"a": [6, 6], "b": [6, 1]}, surrogate="-")
    tables = Tables(rows(lost(made, "victim c")))
    (line,) = tables.leaderboard().to_dict("records")
    assert (line["status"], line["n_victims"]) == ("incomplete", 2)
    assert line["protection_rate"] == pytest.approx((1 + 0.5) / 2)
    (failure,) = tables.failures().to_dict("records")
    assert (failure["part"], failure["reason"]) == ("victim c", "victim c broke")


def test_no_other_victim_stands_in_for_lost_judges() -> None:
    """A white-box row without its surrogate's predictions has a transfer rate only."""
    made = cell([0, 1], {"b": [6, 1]}, surrogate="a")
    board = Tables(rows(lost(made, "victim a"))).leaderboard()
    (line,) = board.to_dict("records")
    assert (line["threat"], line["n_victims"]) == ("white-box", 0)
    assert np.isnan(line["protection_rate"])
    assert pd.isna(line["rank"])
    assert line["transfer_rate"] == 0.5


def test_a_cell_without_any_victim_keeps_its_costs() -> None:
    """Its images are there, and no row is."""
    whole = cell([0, 1], {"a": [6, 6]})
    none = cell([0, 1], {"a": [6, 6]}, attack="y")[1]
    made = rows(whole)
    made.facts["cells"].append(lost((whole[0], none), "victim a")[1])
    tables = Tables(made)
    board = tables.leaderboard().set_index("attack")
    assert board["status"].to_dict() == {"x": "ok", "y": "incomplete"}
    assert board.at["y", "ms_per_image"] == 2.0
    assert not board.at["y", "within_budget"]
    assert tables.methods()["attack"].tolist() == ["x"]
    assert tables.transfer()["attack"].tolist() == ["x"]


def test_a_victim_lost_in_one_seed_has_the_others() -> None:
    """Seed 0 protects both faces from a and b, seed 1 none from a; b is lost in seed 1."""
    label = [0, 1]
    made = rows(
        cell(label, {"a": [6, 6], "b": [6, 6]}, surrogate="-", seed=0),
        lost(cell(label, {"a": [0, 1]}, surrogate="-", seed=1), "victim b"),
    )
    (line,) = Tables(made).leaderboard().to_dict("records")
    assert line["protection_rate"] == pytest.approx((0.5 + 1) / 2)
    assert (line["seeds"], line["status"]) == (2, "incomplete")


def test_quality_counts_each_image_of_each_seed_once() -> None:
    """Also where the first victim of the rows has lost a seed."""
    label = [0, 1]
    made = rows(
        lost(cell(label, {"b": [6, 6]}, surrogate="-", seed=0, ssim=0.999), "victim a"),
        cell(label, {"a": [6, 6], "b": [6, 6]}, surrogate="-", seed=1, ssim=0.997),
    )
    (line,) = Tables(made).leaderboard().to_dict("records")
    assert line["ssim"] == pytest.approx(0.998)


def test_a_lost_metric_is_unknown() -> None:
    part, facts = cell([0, 1], {"a": [6, 6]})
    other = cell([0, 1], {"a": [6, 6]}, attack="y")
    known = other[0].assign(m=0.5), other[1]
    tables = Tables(rows(lost((part.assign(m=np.nan), facts), "metric m"), known))
    for table in (tables.leaderboard(), tables.usability()):
        assert table.set_index("attack")["m"].isna().to_dict() == {"x": True, "y": False}


def test_a_lost_defense_is_absent_where_it_is_lost() -> None:
    label = [0, 1]
    made = rows(
        cell(label, {"a": [6, 6], "b": [6, 1]}, surrogate="-"),
        lost(cell(label, {"a": [6, 1]}, surrogate="-", defense="jpeg75"), "victim b under jpeg75"),
    )
    made.facts["cells"] = made.facts["cells"][1:]  # both parts are of one cell
    defenses = Tables(made).defenses().set_index("defense")
    assert defenses["protection_rate"].to_dict() == {"none": 0.75, "jpeg75": 0.5}


def test_rows_are_compared_on_victims_that_both_have() -> None:
    """Alike on a; b is lost for one of them, and would make a difference."""
    label = [0] * 40
    good, bad = [6] * 40, [0] * 40
    tables = Tables(
        rows(
            cell(label, {"a": good, "b": bad}, surrogate="-"),
            lost(cell(label, {"a": good}, attack="y", surrogate="-"), "victim b"),
        )
    )
    board = tables.leaderboard().set_index("attack")
    assert board["protection_rate"].to_dict() == {"x": 0.5, "y": 1.0}
    assert board["rank"].to_dict() == {"x": 1, "y": 1}


def test_rows_without_a_common_victim_left_do_not_differ() -> None:
    label = [0] * 40
    tables = Tables(
        rows(
            lost(cell(label, {"a": [6] * 40}, surrogate="-"), "victim b"),
            lost(cell(label, {"b": [0] * 40}, attack="y", surrogate="-"), "victim a"),
        )
    )
    assert compare_rows(tables.rates, [0], [1]).p == 1


def test_noise_is_subtracted_on_victims_that_both_have() -> None:
    label = [0, 1]
    made = rows(
        cell(label, {"a": [6, 6], "b": [6, 6], "c": [6, 1]}, surrogate="a"),
        lost(cell(label, {"b": [0, 1]}, attack="noise", surrogate="-"), "victim c"),
    )
    board = Tables(made).leaderboard().set_index("attack")
    assert board.at["x", "transfer_minus_noise"] == 1.0


def test_runs_are_compared_on_victims_that_both_have(tmp_path: Path) -> None:
    label = [0] * 40
    whole = cell(label, {"a": [6] * 40, "b": [0] * 40}, surrogate="-")
    rows(whole).save(tmp_path / "old" / "results.parquet")
    part = lost(cell(label, {"a": [6] * 40}, surrogate="-"), "victim b")
    rows(part).save(tmp_path / "new" / "results.parquet")
    table = compared(tmp_path / "old", tmp_path / "new")
    assert table[["rate_old", "rate_new", "change"]].iloc[0].tolist() == [1, 1, 0]
    assert regressions(table).empty


def test_a_row_that_has_lost_all_its_judges_is_a_regression(tmp_path: Path) -> None:
    label = [0] * 40
    rows(cell(label, {"a": [6] * 40, "b": [6] * 40})).save(tmp_path / "old" / "results.parquet")
    part = lost(cell(label, {"b": [6] * 40}), "victim a")
    rows(part).save(tmp_path / "new" / "results.parquet")
    table = compared(tmp_path / "old", tmp_path / "new")
    assert len(regressions(table)) == 1


def test_failed_cells_and_lost_parts_are_listed_together() -> None:
    made = rows(
        lost(cell([0, 1], {"a": [6, 6]}), "victim b", "metric m"), attack="y"
    )  # fmt: skip
    found = Tables(made).failures()
    assert found[["attack", "part"]].values.tolist() == [
        ["x", "victim b"], ["x", "metric m"], ["y", "cell"],
    ]  # fmt: skip


def test_no_rows_at_all_give_empty_tables() -> None:
    made = rows(cell([0, 1], {"a": [6, 6]}), attack="y")
    none = Rows(made.frame.iloc[:0], {**made.facts, "cells": made.facts["cells"][1:]})
    tables = Tables(none)
    full = Tables(made)
    for name in ("methods", "transfer", "defenses", "defended_methods", "victims", "usability"):
        assert getattr(tables, name)().empty
        assert list(getattr(tables, name)()) == list(getattr(full, name)())
    assert tables.leaderboard()["status"].tolist() == ["failed"]
