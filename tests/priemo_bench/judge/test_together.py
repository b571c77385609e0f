"""What several victims lose at once, counted by hand over random predictions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from priemo_bench.contracts.rows import ROW, Rows
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.judge.together import together

N = 60
LABEL = np.random.default_rng(1).integers(0, 7, N)


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Clean and published predictions; most are right, and two in three are hidden."""
    rng = np.random.default_rng(seed)
    other = (LABEL + rng.integers(1, 7, N)) % 7
    return np.where(rng.random(N) < 0.2, other, LABEL), np.where(rng.random(N) < 0.7, other, LABEL)


def tables(surrogate: str, seeds: tuple[int, ...] = (0,)) -> Tables:
    """One attack on `surrogate`, seen by the victims a, b and c."""
    key = {"dataset": "d", "budget": "equal", "attack": "x", "family": "per-image",
           "scope": "image", "scale": "-", "surrogate": surrogate, "target": "-"}  # fmt: skip
    lines = [
        {**key, "seed": seed, "defense": "none", "victim": victim, "image": f"i{k}",
         "person": f"p{k}", "label": LABEL[k], "clean": drawn(of)[0][k],
         "prediction": drawn(of + 10 * seed)[1][k], "target_label": -1, "ssim": 0.998,
         "ssim_full": 0.998, "psnr": 44.0, "linf": 0.01}
        for seed in seeds
        for of, victim in enumerate("abc")
        for k in range(N)
    ]  # fmt: skip
    cells = [{name: key[name] for name in ROW} | {"seed": s, "status": "done"} for s in seeds]
    return Tables(Rows(pd.DataFrame(lines), {"cells": cells, "ssim_floor": 0.997, "eps": 8 / 255}))


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_counted_by_hand(seeds: tuple[int, ...]) -> None:
    """a and b judge an attack on both; c, which it never saw, does not."""
    (line,) = together(tables("a+b", seeds)).to_dict("records")
    counts = np.all([drawn(of)[0] == LABEL for of in (0, 1)], 0)
    lost = [np.all([drawn(of + 10 * s)[1] != LABEL for of in (0, 1)], 0) for s in seeds]
    assert line["n_victims"] == 2
    assert line["n_together"] == counts.sum()
    assert line["together"] == pytest.approx(np.mean([own[counts].mean() for own in lost]))
    assert 0 <= line["together_low"] < line["together"] < line["together_high"] <= 1
    assert line["together"] < line["protection_rate"]


def test_one_victim_has_no_line() -> None:
    assert together(tables("a")).empty
