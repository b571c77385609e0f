"""Confusion and rates against one victim, counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from priemo_bench.contracts.rows import ROW, Rows
from priemo_bench.judge.confusion import confusion
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.judge.methods import method_rows, rates_against

ANGRY, HAPPY, SAD = 0, 3, 4
LABELS = [ANGRY, ANGRY, HAPPY, HAPPY]


def tables() -> Tables:
    """One attack on a, judged by a; b is a transfer victim, under two defenses."""
    readings = {
        ("a", "none"): ([ANGRY, SAD, HAPPY, HAPPY], [HAPPY, SAD, SAD, HAPPY]),
        ("b", "none"): ([ANGRY, ANGRY, HAPPY, SAD], [ANGRY, HAPPY, HAPPY, HAPPY]),
        ("b", "blur"): ([ANGRY, ANGRY, SAD, SAD], [ANGRY, ANGRY, HAPPY, HAPPY]),
    }
    key = {"dataset": "d", "budget": "equal", "attack": "x", "family": "per-image",
           "scope": "image", "scale": "-", "surrogate": "a", "target": "-"}  # fmt: skip
    lines = [
        {**key, "seed": 0, "defense": defense, "victim": victim, "image": f"i{k}",
         "person": f"p{k}", "label": LABELS[k], "clean": clean[k], "prediction": after[k],
         "target_label": -1, "ssim": 0.998, "ssim_full": 0.998, "psnr": 44.0, "linf": 0.01}
        for (victim, defense), (clean, after) in readings.items()
        for k in range(4)
    ]  # fmt: skip
    cell = {name: key[name] for name in ROW} | {"seed": 0, "status": "done"}
    facts = {"cells": [cell], "ssim_floor": 0.997, "eps": 8 / 255}
    return Tables(Rows(pd.DataFrame(lines), facts))


def test_confusion_before_and_after() -> None:
    own = tables()
    (rows,) = method_rows(own)
    found = confusion(own, rows)
    assert found.faces.tolist() == [2, 0, 0, 2, 0, 0, 0]
    assert found.before[ANGRY, [ANGRY, SAD]].tolist() == [0.5, 0.5]
    assert found.before[HAPPY, HAPPY] == 1
    assert found.after[ANGRY, [HAPPY, SAD]].tolist() == [0.5, 0.5]
    assert found.after[HAPPY, [HAPPY, SAD]].tolist() == [0.5, 0.5]
    assert np.isnan(found.before[SAD]).all()
    np.testing.assert_allclose(np.nansum(found.after, 1)[[ANGRY, HAPPY]], 1)
    assert found.protection[ANGRY, 0] == 1  # of one face that a reads
    assert found.protection[HAPPY, 0] == 0.5
    assert np.isnan(found.protection[SAD]).all()


def test_rates_against_one_victim_under_one_defense() -> None:
    own = tables()
    (rows,) = method_rows(own)
    found = rates_against(own, rows, [None, "a", "b"], ["none", "blur"])
    judged, transferred = found[None, "none"]
    assert (judged.value, judged.images) == (pytest.approx(2 / 3), 3)
    assert (transferred.value, transferred.images) == (pytest.approx(1 / 3), 3)
    assert found["a", "none"][0] == judged
    assert found["a", "none"][1].images == 0
    assert found["b", "none"][1] == transferred
    assert found["b", "blur"][1].value == 0
    assert ("a", "blur") not in found
    line = own.methods().iloc[0]
    assert (judged.value, judged.low, judged.high) == (
        line["protection_rate"], line["protection_low"], line["protection_high"],
    )  # fmt: skip
