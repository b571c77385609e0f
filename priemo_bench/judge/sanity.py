"""Sanity checks of each row of the leaderboard."""

from __future__ import annotations

import pandas as pd

from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.rows import ROW
from priemo_bench.judge.ranking import left_unused

CHANCE = 1.5 / len(EMOTIONS)
"""Clean accuracy below this is near chance."""
COLLAPSED = 0.8
"""A row is called collapsed with more than this share of its predictions in one emotion."""
UNTOUCHED = 0.5
"""A perturbation is called zero with more than this share of published images unchanged."""


def sanity_flags(board: pd.DataFrame, cells: pd.DataFrame, below_control: set[int]) -> list[str]:
    """For each line of `Tables.board` its flags in words, joined by "; "; "" for none.

    Args:
        cells: of the run, `Rows.cells`. below_control: lines that a control without a model beats.
    """
    unused = left_unused(board)
    return [
        "; ".join(
            _of_line(line, board, cells)
            + ["a control does better"] * (row in below_control)
            + ["budget not used"] * bool(idle)
        )
        for (row, line), idle in zip(board.iterrows(), unused, strict=True)
    ]


def _of_line(line: pd.Series, board: pd.DataFrame, cells: pd.DataFrame) -> list[str]:
    if line["status"] == "failed":
        return []
    own = cells[(cells[ROW] == line[ROW]).all(axis=1) & (cells["status"] == "done")]
    found = {
        "clean accuracy near chance": line["clean_accuracy"] < CHANCE,
        "zero gradient": own["zero_gradient"].map(len).gt(0).any(),
        "victim in training mode": own["left_training"].map(len).gt(0).any(),
        "perturbation is zero": line["untouched"] > UNTOUCHED and line["attack"] != "nothing",
        f"collapsed to {line['collapse_class']}": line["collapse_share"] > COLLAPSED
        and line["target"] == "-",
        "more budget protects less": _less_for_more(line, board),
    }
    return [name for name, holds in found.items() if holds]


def _less_for_more(line: pd.Series, board: pd.DataFrame) -> bool:
    """Whether the same row under the equal budget changes images less, yet protects more."""
    if line["budget"] != "conventional":
        return False
    same = [name for name in ROW if name not in ("budget", "scale")]
    lesser = board[(board[same] == line[same]).all(axis=1) & (board["budget"] == "equal")]
    lesser = lesser[lesser["ssim_drop"] < line["ssim_drop"]]
    return bool((lesser["protection_low"] > line["protection_high"]).any())
