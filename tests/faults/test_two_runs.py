"""Two runs started in one folder: one waits or stops in a sentence, and the folder is right."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Whole = tuple[Path, Path, float]


def check_two(lab: Any, whole: Whole, out: Path, delay: float, jobs: int = 1) -> None:
    spec, undisturbed, _ = whole
    first = lab.start(spec, out, "--jobs", jobs)
    time.sleep(delay)
    second = lab.start(spec, out, "--jobs", jobs)
    ends = [first.wait(), second.wait()]
    assert all(ended.is_polite for ended in ends), ends
    assert 0 in [ended.code for ended in ends], ends
    assert not list(out.rglob("*.part"))
    assert not lab.differences(lab.contents(undisturbed), lab.contents(out))


def test_two_runs_at_once(lab: Any, whole: Whole, tmp_path: Path) -> None:
    check_two(lab, whole, tmp_path / "out", delay=0)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_two_runs_at_once_often(
    lab: Any, whole: Whole, tmp_path: Path, rng: np.random.Generator, jobs: int
) -> None:
    for n in range(10):
        check_two(lab, whole, tmp_path / str(n), rng.uniform(0, whole[2]), jobs)


@pytest.mark.slow
def test_the_second_goes_on_when_the_first_is_killed(
    lab: Any, whole: Whole, tmp_path: Path
) -> None:
    spec, undisturbed, seconds = whole
    first, second = (lab.start(spec, tmp_path / "out") for _ in range(2))
    time.sleep(seconds / 3)
    first.kill()
    assert second.wait().is_polite
    assert lab.finish(spec, tmp_path / "out").code == 0
    assert not lab.differences(lab.contents(undisturbed), lab.contents(tmp_path / "out"))


@pytest.mark.slow
def test_a_report_beside_a_run(lab: Any, whole: Whole, tmp_path: Path) -> None:
    """Tables may be read at any time while a run replaces them."""
    spec, undisturbed, _ = whole
    out = tmp_path / "out"
    assert lab.finish(spec, out).code == 0
    (out / "cells").rename(tmp_path / "cells")
    (out / "results.parquet").write_bytes(b"")
    run = lab.start(spec, out)
    reads = 0
    while run.poll() is None:
        if (out / "results.parquet").stat().st_size:
            lab.rows(out)
            reads += 1
    assert run.wait().code == 0
    assert not lab.differences(lab.contents(undisturbed), lab.contents(out))
