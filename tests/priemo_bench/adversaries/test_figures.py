"""Figures show what the table says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from priemo_bench.adversaries.figures import averaging, pairs, save_figures, shares


def lines(adversary: str, given: str = "", attack: str = "a") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "attack": attack, "ssim_floor": 0.95, "adversary": adversary, "given": given,
            "victim": "v", "strength": [1.0, 10.0, 100.0], "protection": 0.8,
            "protection_after": [0.7, 0.5, 0.1], "accuracy_after": [0.2, 0.3, 0.4],
            "clean_accuracy_after": [0.4, 0.3, 0.1],
        }
    )  # fmt: skip


def drawn(draw: object, table: pd.DataFrame) -> list[tuple[list[float], list[float]]]:
    axis = Figure().subplots()
    draw(table, axis)  # type: ignore[operator]
    found = [(list(line.get_xdata()), list(line.get_ydata())) for line in axis.lines]
    return [(list(map(float, x)), list(map(float, y))) for x, y in found]


def test_averaging_is_drawn_with_what_there_was_before() -> None:
    found = drawn(averaging, lines("average, plain"))
    assert ([1, 10, 100], [0.7, 0.5, 0.1]) in found
    assert any(np.allclose(y, [0.8, 0.8]) for _, y in found if len(y) == 2)


def test_pairs_are_those_of_the_same_attack() -> None:
    table = pd.concat(
        [
            lines("purifier", "1 pairs of the same attack"),
            lines("purifier", "1 pairs of another attack (b)"),
        ]
    )
    assert len([x for x, _ in drawn(pairs, table) if len(x) == 3]) == 1


def test_shares_are_drawn_for_published_and_clean_faces() -> None:
    found = drawn(shares, lines("train from scratch"))
    assert ([1, 10, 100], [0.2, 0.3, 0.4]) in found
    assert ([1, 10, 100], [0.4, 0.3, 0.1]) in found


def test_nothing_to_show_is_no_file(tmp_path: Path) -> None:
    table = lines("none").assign(strength=np.nan)
    assert save_figures(table, tmp_path) == {}
    assert not list(tmp_path.iterdir())
    captions = save_figures(pd.concat([table, lines("average, plain")]), tmp_path)
    assert list(captions) == ["averaging.png"]
    assert {path.name for path in tmp_path.iterdir()} == {"averaging.png", "averaging.svg"}
