"""Real runs killed at random moments end with the tables of an undisturbed one.

    pytest -m slow tests/faults/test_kills.py

kills 500 runs (a quarter of an hour of one core); CI a few.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

Whole = tuple[Path, Path, float]


def kill_and_finish(
    lab: Any, whole: Whole, out: Path, jobs: int, rng: np.random.Generator
) -> tuple[int, list[str]]:
    """One to four kills in a row, then to the end: kills that met a run, and what differs."""
    spec, undisturbed, seconds = whole
    kills = 0
    for _ in range(rng.integers(1, 5)):
        run = lab.start(spec, out, "--jobs", jobs)
        time.sleep(rng.uniform(0, seconds))
        kills += run.kill(group=True)
    ended = lab.finish(spec, out, "--jobs", jobs)
    if ended.code != 0:
        return kills, [f"exit code {ended.code}: {ended.text}"]
    left = [f"{path} is left" for path in out.rglob("*.part")]
    return kills, left + lab.differences(lab.contents(undisturbed), lab.contents(out))


def kill_often(
    lab: Any, whole: Whole, tmp_path: Path, jobs: int, wanted: int, rng: np.random.Generator
) -> None:
    kills, folder = 0, 0
    while kills < wanted:
        folder += 1
        killed, different = kill_and_finish(lab, whole, tmp_path / str(folder), jobs, rng)
        kills += killed
        assert not different, (folder, kills, different)
    print(f"{kills} kills in {folder} folders at {jobs} jobs, 0 differences")


def test_killed_runs_end_with_equal_tables(
    lab: Any, whole: Whole, tmp_path: Path, rng: np.random.Generator
) -> None:
    kill_often(lab, whole, tmp_path, 1, 2, rng)


@pytest.mark.slow
@pytest.mark.parametrize(("jobs", "kills"), [(1, 450), (2, 50)])
def test_killed_runs_end_with_equal_tables_hundreds_of_times(
    lab: Any, whole: Whole, tmp_path: Path, rng: np.random.Generator, jobs: int, kills: int
) -> None:
    kill_often(lab, whole, tmp_path, jobs, kills, rng)


def workers(run: Any) -> list[psutil.Process]:
    """The processes below a run that do its cells."""
    return [p for p in run.children() if "tracker" not in " ".join(p.cmdline())]


def wait_for_cells(run: Any, out: Path) -> None:
    """Until the first cell is written, or the run is over."""
    while run.poll() is None and not list(out.glob("cells/*")):
        time.sleep(0.01)


LONG = {"name": "toy-busy", "seeds": list(range(6)), "budgets": ["equal"], "params": {"ms": 20}}
"""Six cells of half a second each."""


@pytest.fixture(scope="module")
def long(lab: Any) -> tuple[Path, Path]:
    spec, out = lab.spec(LONG), lab.scratch / "long"
    assert lab.finish(spec, out).code == 0
    return spec, out


@pytest.mark.slow
def test_a_killed_worker_costs_a_cell_at_most(
    lab: Any, long: tuple[Path, Path], tmp_path: Path, rng: np.random.Generator
) -> None:
    spec, undisturbed = long
    run = lab.start(spec, tmp_path / "out", "--jobs", 2)
    wait_for_cells(run, tmp_path / "out")
    rng.choice(workers(run)).kill()
    ended = run.wait()
    assert ended.is_polite, ended
    if ended.code != 0:
        assert lab.finish(spec, tmp_path / "out", "--jobs", 2).code == 0
    found = lab.contents(tmp_path / "out")
    assert not lab.differences(lab.contents(undisturbed), found)


@pytest.mark.slow
def test_workers_do_not_outlive_a_killed_parent(
    lab: Any, long: tuple[Path, Path], tmp_path: Path
) -> None:
    spec, undisturbed = long
    run = lab.start(spec, tmp_path / "out", "--jobs", 2)
    wait_for_cells(run, tmp_path / "out")
    orphans = run.children()
    assert orphans
    assert run.kill()
    _, alive = psutil.wait_procs(orphans, timeout=3)
    for process in alive:
        process.kill()
    assert not alive
    assert lab.finish(spec, tmp_path / "out", "--jobs", 2).code == 0
    assert not lab.differences(lab.contents(undisturbed), lab.contents(tmp_path / "out"))


@pytest.mark.slow
def test_what_a_lost_write_leaves_is_swept_away(
    lab: Any, whole: Whole, tmp_path: Path, rng: np.random.Generator
) -> None:
    """As after a power cut: files are whole, cut, empty or missing, others half-written aside."""
    import shutil

    spec, undisturbed, _ = whole
    out = shutil.copytree(undisturbed, tmp_path / "out")
    for path in [p for p in sorted(out.rglob("*")) if p.is_file()]:
        data = path.read_bytes()
        path.with_name(f"{path.name}.{os.getpid()}.part").write_bytes(data[: len(data) // 3])
        fate = rng.integers(4)
        if fate == 3:
            path.unlink()
        elif fate:
            path.write_bytes(data[: len(data) // 2 if fate == 2 else 0])
    ended = lab.finish(spec, out)
    assert ended.code == 0, ended
    assert not list(out.rglob("*.part"))
    assert not lab.differences(lab.contents(undisturbed), lab.contents(out))


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_the_installed_command_survives_kills_too(
    lab: Any, whole: Whole, tmp_path: Path, rng: np.random.Generator, jobs: int
) -> None:
    spec, undisturbed, _ = whole
    command = ["priemo-bench", "run", spec, "--out", tmp_path, "--jobs", str(jobs)]
    path = f"{lab.plugin}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    for _ in range(5):
        process = subprocess.Popen(command, env=environment, start_new_session=True)
        time.sleep(rng.uniform(2, 12))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(command, env=environment, check=True)
    assert not lab.differences(lab.contents(undisturbed), lab.contents(tmp_path))
