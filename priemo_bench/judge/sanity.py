"""Sanity checks of each row of the leaderboard."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from priemo_bench.contracts.budgets import CONVENTIONAL, EQUAL
from priemo_bench.contracts.columns import ROW
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.judge.ranking import Line, left_unused, records

CHANCE = 1.5 / len(EMOTIONS)
"""Clean accuracy below this is near chance."""
COLLAPSED = 0.8
"""A row is called collapsed with more than this share of its predictions in one emotion."""
UNTOUCHED = 0.5
"""A perturbation is called zero with more than this share of published images unchanged."""


def sanity_flags(
    board: pd.DataFrame, cells: Sequence[Sequence[Line]], below_control: set[int]
) -> list[str]:
    """For each line of `Tables.board` its flags in words, joined by "; "; "" for none.

    Args:
        cells: of each line, those that have published images. below_control: lines that a control
            without a model beats.
    """
    lines = records(board)
    lesser = _equal_by_key(lines)
    return [
        "; ".join(
            _of_line(line, lesser.get(_key(line), []), cells[row])
            + ["a control does better"] * (row in below_control)
            + ["budget not used"] * idle
        )
        for row, (line, idle) in enumerate(zip(lines, left_unused(lines), strict=True))
    ]


def _of_line(line: Line, lesser: Sequence[Line], cells: Sequence[Line]) -> list[str]:
    if line["status"] == "failed":
        return []
    found = {
        "clean accuracy near chance": line["clean_accuracy"] < CHANCE,
        "zero gradient": any(cell.get("zero_gradient") for cell in cells),
        "victim in training mode": any(cell.get("left_training") for cell in cells),
        "perturbation is zero": line["untouched"] > UNTOUCHED and line["attack"] != "nothing",
        f"collapsed to {line['collapse_class']}": line["collapse_share"] > COLLAPSED
        and line["target"] == "-",
        "more budget protects less": line["budget"] == CONVENTIONAL
        and any(_less_for_more(line, other) for other in lesser),
    }
    return [name for name, holds in found.items() if holds]


def _key(line: Line) -> tuple[str, ...]:
    return tuple(line[name] for name in ROW if name not in ("budget", "scale"))


def _equal_by_key(lines: Sequence[Line]) -> dict[tuple[str, ...], list[Line]]:
    found: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        if line["budget"] == EQUAL:
            found.setdefault(_key(line), []).append(line)
    return found


def _less_for_more(line: Line, other: Line) -> bool:
    """Whether the `other` row changes images less, yet protects more."""
    return bool(
        other["ssim_drop"] < line["ssim_drop"] and other["protection_low"] > line["protection_high"]
    )
