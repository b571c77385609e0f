"""Local optimality against areas that are worked out by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from priemo_bench.judge import optimality as judged
from priemo_bench.judge.optimality import Course, _compared, _ratio, optimality

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
    assert _ratio(found)["optimality"] == pytest.approx(0.75)
    assert found["drop_median"] == pytest.approx(0.1)


def test_an_attack_that_does_what_no_other_does_is_above_one() -> None:
    found = _compared(course([1, 1], [1, 1]), [course([0, 0], [1, 1])], FLOORS)
    assert _ratio(found)["optimality"] == pytest.approx(2.0)
    assert found["drop_median"] == pytest.approx(0.01)


def test_without_others_there_is_no_ratio() -> None:
    found = _compared(course([0, 0], [0, 0]), [], FLOORS)
    assert np.isnan(_ratio(found)["optimality"])
    assert np.isnan(found["drop_median"])


def test_others_count_on_the_images_they_have() -> None:
    own = course([0, 0], [1, 0])
    other = Course(own.method, np.array([1, 5]), np.array([[1.0, 1.0], [1.0, 1.0]]))
    assert _compared(own, [other], FLOORS)["envelope"] == pytest.approx(0.5)


def test_a_method_is_compared_with_others_only_and_victims_count_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two sets of surrogates of one method; a rival is judged by the first of three victims."""
    weak, strong = course([0, 0], [0, 1]), course([1, 1], [1, 1])
    rival = Course(("d", "b", "image", "-", "white-box"), np.arange(2), np.array([[0, 0], [1, 1]]))
    noise = Course(("d", "n", "-", "-", "no-model"), np.arange(2), np.array([[0, 0], [1, 0]]))
    judging = {"v": [weak, strong, rival], "w": [strong], "x": [strong, noise]}
    monkeypatch.setattr(judged, "_floors", lambda tables: FLOORS)
    monkeypatch.setattr(judged, "_courses", lambda predictions, victim, floors: judging[victim])
    tables: Any = SimpleNamespace(
        predictions=SimpleNamespace(victims={0: ["v"], 1: ["v", "w", "x"]})
    )
    first, second, third = optimality(tables).to_dict("records")
    assert [line["attack"] for line in (first, second, third)] == ["a", "b", "n"]
    assert [line["n_victims"] for line in (first, second, third)] == [1, 1, 1]
    assert first["area"] == pytest.approx((1 / 4 + 1) / 2)
    assert first["envelope"] == pytest.approx(1 / 2)
    assert first["optimality"] == pytest.approx(1.25)
    assert second["optimality"] == pytest.approx(1 / 2)
    assert third["optimality"] == pytest.approx(1 / 4)

    judging["v"] = [weak, strong]
    alone = optimality(tables).set_index("attack").loc["a"]
    assert alone["area"] == pytest.approx(((1 / 4 + 1) / 2 + 1 + 1) / 3)
    assert alone["n_victims"] == 3
    assert np.isnan(alone["optimality"])
