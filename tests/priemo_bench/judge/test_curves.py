"""The area under a protection-quality curve."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest

from priemo_bench.judge.curves import area

FLOORS = (0.999, 0.997, 0.99, 0.98, 0.95, 0.90)


def test_area_of_a_constant_is_the_constant() -> None:
    assert area(FLOORS, [0.4] * len(FLOORS)) == pytest.approx(0.4)


def test_area_is_the_mean_over_the_logarithm_of_the_drop() -> None:
    """A rate linear in log(drop) from 0 to 1 has its middle, in any order and any steps."""
    floors = np.array([0.9, 0.999, 0.95, 0.97])
    rates = (np.log(1 - floors) - log(0.001)) / (log(0.1) - log(0.001))
    assert area(floors.tolist(), rates.tolist()) == pytest.approx(0.5)
    half_way = 1 - sqrt(0.001 * 0.1)  # a step of the rate in the middle of the axis
    assert area([0.999, half_way, 0.9], [0, 0, 1]) == pytest.approx(0.25)
