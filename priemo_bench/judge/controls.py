"""What the control attacks, which have no model, reach in the place of an attack."""

from __future__ import annotations

from typing import cast

import pandas as pd

from priemo_bench.judge.difference import holm
from priemo_bench.judge.ranking import ALPHA, EQUAL_BUDGETS, compare_rows
from priemo_bench.judge.rates import Rates

NOISE = "noise"
"""The attack whose rate is subtracted for `transfer_minus_noise`."""


def transfer_minus_noise(rates: Rates, board: pd.DataFrame) -> list[float]:
    """Per line, transfer rate less that of random noise of the same budget on the same victims."""
    by_victim = rates.undefended
    found = []
    for row, line in board.iterrows():
        own = by_victim[(by_victim["row"] == row) & (by_victim["threat"] != "white-box")]
        noise = (board["attack"] == NOISE) & (board["budget"] == line["budget"])
        noise &= (board["dataset"] == line["dataset"]) & (line["budget"] in EQUAL_BUDGETS)
        control = by_victim[by_victim["row"].isin(board.index[noise])]
        control = control[control["victim"].isin(own["victim"])]
        found.append(own["protected"].mean() - control["protected"].mean())
    return found


def below_control(rates: Rates, board: pd.DataFrame) -> set[int]:
    """White-box rows that a control protects better than, by the paired test with Holm's."""
    controls = board[(board["family"] == "control") & (board["threat"] == "no-model")]
    untargeted = board[(board["threat"] == "white-box") & (board["target"] == "-")]
    pairs = [
        (cast(int, row), cast(int, control))
        for row, line in untargeted.iterrows()
        for control, other in controls.iterrows()
        if (line[["dataset", "budget"]] == other[["dataset", "budget"]]).all()
        and other["protection_rate"] > line["protection_rate"]
    ]
    p = holm([compare_rows(rates, [control], [row]).p for row, control in pairs])
    return {row for (row, _), q in zip(pairs, p, strict=True) if q < ALPHA}
