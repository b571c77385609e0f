"""What a run costs beyond its parts: workers, growth, memory, and a finished run typed again.

    pytest -m slow -s -n 0 tests/benchmarks/test_runner_speed.py

prints the figures (a quarter of an hour); two idle cores, or the first test means nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tomli_w

PLUGIN = Path(__file__).parents[1] / "faults" / "plugin"
pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Cost:
    """Seconds from typing to the end, and the largest memory of the main process in MB."""

    seconds: float
    megabytes: float


def run(
    out: Path, attacks: list[dict[str, Any]], *options: object, faces: int = 28, **values: Any
) -> Cost:
    """The installed command in a fresh process, on toys."""
    spec = {
        "datasets": [{"name": "toys"}], "victims": ["toy-a", "toy-b"], "ssim_floor": 0.8,
        "eps": 0.2, "eps_grid": [0.1], "attacks": attacks, **values,
    }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    (out / "asked.toml").write_text(tomli_w.dumps(spec))
    command = ["run", out / "asked.toml", "--out", out / "out", *options]
    process = subprocess.Popen(
        [sys.executable, "-m", "priemo_bench.cli", *map(str, command)], env=environment(faces),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    start = time.perf_counter()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return Cost(time.perf_counter() - start, usage.ru_maxrss / 1024)


def environment(faces: int = 28) -> dict[str, str]:
    path = f"{PLUGIN}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, "TOY_FACES": str(faces)}


def busy(n: int, ms: float) -> list[dict[str, Any]]:
    """`n` attacks of `ms` milliseconds an image, no two of them equal."""
    return [
        {"name": "toy-busy", "label": f"busy {k}", "budgets": ["equal"],
         "params": {"ms": ms * (1 + k / 1e6)}}
        for k in range(n)
    ]  # fmt: skip


def test_two_workers_are_nearly_twice_as_fast(tmp_path: Path) -> None:
    """By what further cells cost: start-up and the report are one process's, whatever the run."""

    def seconds(jobs: int, cells: int) -> float:
        return run(tmp_path / f"{jobs} {cells}", busy(cells, 250), "--jobs", jobs).seconds

    few, many = ([seconds(jobs, cells) for jobs in (1, 2)] for cells in (4, 16))
    one, two = (b - a for a, b in zip(few, many, strict=True))
    whole = many[0] / many[1]
    print(f"12 more cells of 7 s: {one:.1f} s by one worker, {two:.1f} s by two: {one / two:.2f}")
    print(f"16 cells, from typing to page: {many[0]:.1f} s and {many[1]:.1f} s: {whole:.2f}")
    assert one / two >= 1.7


def growth(seconds: list[float]) -> float:
    """How much longer the second doubling takes than the first: 2 where time is linear."""
    first, second, third = seconds
    return (third - second) / (second - first)


@pytest.mark.parametrize("what", ["images", "victims", "attacks"])
def test_time_is_linear(tmp_path: Path, what: str) -> None:
    seconds = []
    for times in (1, 2, 4):
        n = {"images": 1, "victims": 1, "attacks": 1} | {what: times}
        faces, ms = (8000, 0.1) if what == "victims" else (1000 * n["images"], 1)
        cost = run(  # a victim that is a toy predicts few faces in no time
            tmp_path / str(times), busy(4 * n["attacks"], ms), faces=faces,
            victims=[f"toy-{k}" for k in range(4 * n["victims"])],
        )  # fmt: skip
        seconds.append(cost.seconds)
    found = growth(seconds)
    print(f"{what}: {', '.join(f'{s:.1f}' for s in seconds)} s for 1, 2, 4 times: {found:.2f}")
    assert found <= 2 * 1.1


def test_memory_does_not_grow_with_the_set(tmp_path: Path) -> None:
    """Beside the pictures of the test split, which the data set holds."""
    attacks = [{"name": "toy-noise", "budgets": ["equal"]}]
    held = []
    for faces in (1000, 100_000):
        own = faces * 32 * 32 / 1e6
        held.append(run(tmp_path / str(faces), attacks, faces=faces).megabytes - own)
    few, many = held
    print(f"{few:.0f} MB with 1,000 images, {many:.0f} with 100,000: {many / few:.2f}")
    assert many <= 1.2 * few


def test_a_finished_run_is_known_in_a_second(tmp_path: Path) -> None:
    attacks = busy(2, 1)
    run(tmp_path, attacks)
    again = min(run(tmp_path, attacks).seconds for _ in range(3))
    print(f"finished run typed again: {again:.2f} s")
    assert again < 1


def test_a_finished_run_opens_neither_torch_nor_a_figure(tmp_path: Path) -> None:
    run(tmp_path, busy(2, 1))
    command = ["run", tmp_path / "asked.toml", "--out", tmp_path / "out"]
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "priemo_bench.cli", *map(str, command)],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    names = {line.rsplit("|", 1)[1].strip() for line in ended.stderr.splitlines() if "|" in line}
    assert names & {"priemo_bench.benchmark"}
    assert not names & {"torch", "art", "matplotlib", "seaborn", "timm"}
