"""Figures show what the table says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from priemo_bench.adversaries.figures import FIGURES, save_figures
from priemo_bench.report.palette import colour
from priemo_bench.report.plots.style import styled


def lines(adversary: str, given: str = "", attack: str = "a") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "attack": attack, "family": "universal", "ssim_floor": 0.95, "adversary": adversary,
            "given": given, "victim": "v", "strength": [1.0, 10.0, 100.0], "protection": 0.8,
            "protection_after": [0.7, 0.5, 0.1], "accuracy_after": [0.2, 0.3, 0.4],
            "clean_accuracy_after": [0.4, 0.3, 0.1],
        }
    )  # fmt: skip


def drawn(name: str, table: pd.DataFrame) -> list[tuple[list[float], list[float]]]:
    own = FIGURES[name]
    with styled():
        axis = own.draw(own.lines(table), figure=Figure())
    curves = [line for line in axis.lines if line.get_transform() == axis.transData]
    assert {to_hex(line.get_color()) for line in curves} == {colour("a", "universal")}
    found = [(list(line.get_xdata()), list(line.get_ydata())) for line in axis.lines]
    return [(list(map(float, x)), list(map(float, y))) for x, y in found]


def test_averaging_is_drawn_with_what_there_was_before() -> None:
    both = pd.concat([lines("average, plain"), lines("average, plain").assign(victim="w")])
    both.loc[both["victim"] == "w", "protection_after"] += 0.2
    found = drawn("averaging", both)
    assert any(x == [1, 10, 100] and np.allclose(y, [0.8, 0.6, 0.2]) for x, y in found)
    assert any(np.allclose(y, [0.8, 0.8]) for _, y in found if len(y) == 2)


def test_pairs_are_those_of_the_same_attack() -> None:
    table = pd.concat(
        [
            lines("purifier", "1 pairs of the same attack"),
            lines("purifier", "1 pairs of another attack (b)"),
        ]
    )
    assert len([x for x, _ in drawn("pairs", table) if x == [1, 10, 100]]) == 1


def test_shares_are_drawn_for_published_and_clean_faces() -> None:
    found = drawn("shares", lines("train from scratch"))
    assert ([1, 10, 100], [0.2, 0.3, 0.4]) in found
    assert ([1, 10, 100], [0.4, 0.3, 0.1]) in found


def test_nothing_to_show_is_no_file(tmp_path: Path) -> None:
    table = lines("none").assign(strength=np.nan)
    assert save_figures(table, tmp_path) == {}
    assert not list(tmp_path.iterdir())
    captions = save_figures(pd.concat([table, lines("average, plain")]), tmp_path)
    assert list(captions) == ["averaging.png"]
    assert {path.name for path in tmp_path.iterdir()} == {
        "averaging.png", "averaging.svg", "averaging.pdf", "averaging.csv",
    }  # fmt: skip
    written = pd.read_csv(tmp_path / "averaging.csv")
    assert written["protection_after"].tolist() == [0.7, 0.5, 0.1]
