"""One spec has one set of rows, whatever the workers, threads, batches and order of attacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

Whole = tuple[Path, Path, float]
THREADS = "import torch; torch.set_num_threads({})"
BATCH = "from priemo_bench.contracts import predict; predict.BATCH = {}"


def check_equal(
    lab: Any, whole: Whole, out: Path, *options: object, setup: str = "", threads: int = 1
) -> None:
    """Rows, costs in passes and tables are those of one job, one thread and whole batches."""
    spec, undisturbed, _ = whole
    ended = lab.finish(spec, out, *options, setup=setup, env={"OMP_NUM_THREADS": str(threads)})
    assert ended.code == 0, ended
    assert not lab.differences(lab.contents(undisturbed), lab.contents(out))


@pytest.mark.slow
def test_jobs(lab: Any, whole: Whole, tmp_path: Path) -> None:
    check_equal(lab, whole, tmp_path, "--jobs", 2)


@pytest.mark.slow
def test_threads_and_batches(lab: Any, whole: Whole, tmp_path: Path) -> None:
    setup = f"{THREADS.format(2)}\n{BATCH.format(5)}"
    check_equal(lab, whole, tmp_path, setup=setup, threads=2)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2, 3])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_jobs_threads_and_batches(
    lab: Any, whole: Whole, tmp_path: Path, jobs: int, threads: int, batch: int
) -> None:
    setup = f"{THREADS.format(threads)}\n{BATCH.format(batch)}"
    check_equal(lab, whole, tmp_path, "--jobs", jobs, setup=setup, threads=threads)


def test_the_order_of_attacks_and_victims(lab: Any, whole: Whole, tmp_path: Path) -> None:
    """Also what a cell cost in passes belongs to the cell, not to who came first."""
    backwards = lab.spec(*lab.ATTACKS[::-1], victims=lab.SPEC["victims"][::-1])
    assert lab.finish(backwards, tmp_path).code == 0
    rows = [lab.of_good_parts(lab.rows(out)) for out in (whole[1], tmp_path)]
    pd.testing.assert_frame_equal(*rows)
    facts = [
        sorted(str(sorted(fact.items())) for fact in lab.facts(out)) for out in (whole[1], tmp_path)
    ]
    assert facts[0] == facts[1]


@pytest.mark.slow
def test_a_wider_run_has_the_rows_of_a_narrow_one(lab: Any, whole: Whole, tmp_path: Path) -> None:
    """What else is in a spec changes no row of an attack."""
    assert lab.finish(lab.spec(lab.ATTACKS[1]), tmp_path).code == 0
    alone, among = (
        lab.of_good_parts(lab.rows(out)).query("attack == 'toy-shared'").reset_index(drop=True)
        for out in (tmp_path, whole[1])
    )
    pd.testing.assert_frame_equal(alone, among)
