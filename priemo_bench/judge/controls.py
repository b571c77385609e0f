"""What the control attacks, which have no model, reach in the place of an attack."""

from __future__ import annotations

import pandas as pd

from priemo_bench.contracts.budgets import CONVENTIONAL
from priemo_bench.judge.difference import holm
from priemo_bench.judge.levels import ALPHA
from priemo_bench.judge.ranking import Line, compare_rows, records
from priemo_bench.judge.rates import Rates
from priemo_bench.judge.statistics import mean

NOISE = "noise"
"""The attack whose rate is subtracted for `transfer_minus_noise`."""


def transfer_minus_noise(rates: Rates, board: pd.DataFrame) -> list[float]:
    """Per line, transfer rate less that of random noise of the same budget on the same victims."""
    lines = records(board[["dataset", "budget", "attack"]])
    known: dict[object, dict[str, list[float]]] = {}
    for row, line in enumerate(lines):
        if line["attack"] == NOISE and line["budget"] != CONVENTIONAL:
            noise = known.setdefault((line["dataset"], line["budget"]), {})
            for victim in rates.predictions.victims.get(row, []):
                noise.setdefault(victim, []).append(_protected(rates, row, victim))
    found = []
    for row, line in enumerate(lines):
        noise = known.get((line["dataset"], line["budget"]), {})
        both = [v for v in rates.predictions.transfer_victims(row) if v in noise]
        own = mean(_protected(rates, row, victim) for victim in both)
        found.append(own - mean(value for victim in both for value in noise[victim]))
    return found


def _protected(rates: Rates, row: int, victim: str) -> float:
    return rates.predictions.arrays[row, "none", victim].rate("protected")


def below_control(rates: Rates, board: pd.DataFrame) -> set[int]:
    """White-box rows that a control protects better than, by the paired test with Holm's."""
    lines = records(board)
    controls: dict[object, list[int]] = {}
    for row, line in enumerate(lines):
        if line["family"] == "control" and line["threat"] == "no-model":
            controls.setdefault(_where(line), []).append(row)
    pairs = [
        (row, control)
        for row, line in enumerate(lines)
        if line["threat"] == "white-box" and line["target"] == "-"
        for control in controls.get(_where(line), [])
        if lines[control]["protection_rate"] > line["protection_rate"]
    ]
    p = holm([compare_rows(rates, [control], [row]).p for row, control in pairs])
    return {row for (row, _), q in zip(pairs, p, strict=True) if q < ALPHA}


def _where(line: Line) -> tuple[str, str]:
    return line["dataset"], line["budget"]
