"""No image goes through a victim more often than it must: counts in closed form."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

N, SELECTED, STRENGTHS, PROBES = 28, 14, 3, 16
"""Test faces; fit faces that a strength is chosen on; strengths; faces of the gradient's check."""


def passes(lab: Any, spec: Path, tmp_path: Path, *options: object) -> Counter[str]:
    """Images that each victim saw in a run."""
    log = tmp_path / "log.txt"
    log.touch()
    before = len(log.read_text().splitlines())
    ended = lab.finish(spec, tmp_path / "out", *options, env={"TOY_LOG": str(log)})
    assert ended.code == 0, ended
    seen: Counter[str] = Counter()
    for line in log.read_text().splitlines()[before:]:
        part, count = line.rsplit(" ", 1)
        if part.startswith("victim "):
            seen[part.removeprefix("victim ")] += int(count)
    return seen


@pytest.mark.parametrize("floors", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_an_attack_by_gradient(lab: Any, tmp_path: Path, floors: int) -> None:
    """Its strength chosen on fit faces; judged by two victims, bare and under one defense.

    A second budget (PSNR) has images of its own, chosen, made and judged; clean faces and what the
    attack makes of the fit faces, before it meets a budget, serve both.
    """
    attack = {"name": "toy-gradient", "surrogates": ["toy-a"], "budgets": ["equal", "equal-psnr"]}
    psnr = {"psnr_floor": 30.0} if floors == 2 else {}
    spec = lab.spec(attack, victims=["toy-a", "toy-judge"], select_limit=SELECTED, **psnr)
    seen = passes(lab, spec, tmp_path)
    clean = 2 * N
    judged = 2 * N if floors == 1 else 3 * N  # the second budget is not judged under defenses
    chosen = SELECTED + (1 + floors) * STRENGTHS * SELECTED
    made = floors * N
    assert seen["toy-judge"] == clean + judged
    assert seen["toy-a"] == clean + judged + chosen + made + PROBES


def test_an_attack_without_a_model(lab: Any, tmp_path: Path) -> None:
    """Two seeds, three victims, two defenses: clean faces once for both seeds."""
    spec = lab.spec({"name": "toy-noise", "seeds": [0, 1], "budgets": ["equal"]})
    clean, judged = 2 * N, 2 * 2 * N
    seen = passes(lab, spec, tmp_path)
    assert {name: seen[name] for name in ("toy-b", "toy-judge")} == {
        "toy-b": clean + judged,
        "toy-judge": clean + judged,
    }


@pytest.mark.slow
def test_a_finished_run_asks_no_victim(lab: Any, tmp_path: Path) -> None:
    spec = lab.spec()
    assert passes(lab, spec, tmp_path)
    assert not passes(lab, spec, tmp_path)


def test_a_new_defense_asks_for_its_own_answers_only(lab: Any, tmp_path: Path) -> None:
    attack = {"name": "toy-noise", "budgets": ["equal"]}
    passes(lab, lab.spec(attack), tmp_path)
    wider = lab.spec(attack, defenses=["none", "toy-smooth", "toy-coarse"])
    seen = passes(lab, wider, tmp_path, "--overwrite")
    assert seen["toy-judge"] == 2 * N
