"""Local optimality against areas that are worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from priemo_bench.judge.optimality import Course, _compared

FLOORS = {"equal": 0.99, "equal-0.9": 0.9}


def course(*protected: list[float]) -> Course:
    values = np.array(protected, float)
    return Course(("d", "a", "image", "-", "white-box"), np.arange(values.shape[1]), values)


def test_the_envelope_is_the_best_of_the_others_image_by_image() -> None:
    """Two floors: an area is the mean of two rates. The others protect one half each at .9."""
    own = course([0, 0, 0, 0], [1, 1, 1, 0])
    left, right = course([0, 0, 0, 0], [1, 1, 0, 0]), course([0, 0, 0, 0], [0, 0, 1, 1])
    found = _compared(own, [left, right], FLOORS)
    assert found["area"] == pytest.approx(0.375)
    assert found["envelope"] == pytest.approx(0.5)
    assert found["optimality"] == pytest.approx(0.75)
    assert found["drop_median"] == pytest.approx(0.1)


def test_an_attack_that_does_what_no_other_does_is_above_one() -> None:
    found = _compared(course([1, 1], [1, 1]), [course([0, 0], [1, 1])], FLOORS)
    assert found["optimality"] == pytest.approx(2.0)
    assert found["drop_median"] == pytest.approx(0.01)


def test_without_others_there_is_no_ratio() -> None:
    found = _compared(course([0, 0], [0, 0]), [], FLOORS)
    assert np.isnan(found["optimality"])
    assert np.isnan(found["drop_median"])


def test_others_count_on_the_images_they_have() -> None:
    own = course([0, 0], [1, 0])
    other = Course(own.method, np.array([1, 5]), np.array([[1.0, 1.0], [1.0, 1.0]]))
    assert _compared(own, [other], FLOORS)["envelope"] == pytest.approx(0.5)
