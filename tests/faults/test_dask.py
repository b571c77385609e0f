"""A run on a Dask cluster of separate worker processes, one of which is killed, has equal rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("distributed")
LONG = {"name": "toy-busy", "seeds": list(range(6)), "budgets": ["equal"], "params": {"ms": 20}}


class Cluster:
    """A scheduler and two workers of one thread, each a process of its own."""

    def __init__(self, folder: Path, plugin: Path) -> None:
        self.folder, self.file = folder, folder / "scheduler.json"
        path = f"{plugin}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        self.env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, "TOY_FACES": "28"}
        self.log = (folder / "cluster.txt").open("w")
        local = ("--host", "127.0.0.1", "--scheduler-file", str(self.file))
        self.processes = [self.start("scheduler", "--port", "0", "--no-dashboard", *local)]
        self.address = self.wait_for_address()
        self.workers = [
            self.start("worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard",
                       "--local-directory", str(folder / str(n)))
            for n in range(2)
        ]  # fmt: skip
        self.processes += self.workers

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.env, stdout=self.log, stderr=self.log
        )

    def wait_for_address(self) -> str:
        for _ in range(600):
            if self.file.is_file() and (text := self.file.read_text()):
                return str(json.loads(text)["address"])
            time.sleep(0.05)
        raise AssertionError("the scheduler does not start")

    def close(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()
        self.log.close()


@pytest.mark.slow
def test_workers_with_other_code_are_refused(lab: Any, tmp_path: Path) -> None:
    other = lab.new_plugin(tmp_path / "other")
    source = other / "toyplugin" / "noise.py"
    source.write_text(source.read_text().replace("uniform(-1, 1", "uniform(-1, 2"))
    made = Cluster(tmp_path, other)
    try:
        options = ("--backend", "dask", "--scheduler", made.address)
        ended = lab.finish(lab.spec(LONG), tmp_path / "out", *options)
    finally:
        made.close()
    assert (ended.code, ended.is_traceback) == (2, False), ended


@pytest.fixture
def cluster(lab: Any, tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path, lab.plugin)
    yield made
    made.close()


@pytest.mark.slow
def test_rows_of_a_cluster_that_loses_a_worker(
    lab: Any, cluster: Cluster, tmp_path: Path, rng: np.random.Generator
) -> None:
    spec, local, remote = lab.spec(LONG), tmp_path / "local", tmp_path / "remote"
    assert lab.finish(spec, local).code == 0
    run = lab.start(spec, remote, "--backend", "dask", "--scheduler", cluster.address)
    while run.poll() is None and not list(remote.glob("cells/*.json")):
        time.sleep(0.02)
    rng.choice(cluster.workers).kill()
    ended = run.wait()
    assert (ended.code, ended.is_traceback) == (0, False), ended
    assert not lab.differences(lab.contents(local), lab.contents(remote))


@pytest.mark.slow
def test_rows_of_a_cluster(
    lab: Any, whole: tuple[Path, Path, float], cluster: Cluster, tmp_path: Path
) -> None:
    spec, undisturbed, _ = whole
    out = tmp_path / "remote"
    ended = lab.finish(spec, out, "--backend", "dask", "--scheduler", cluster.address)
    assert (ended.code, ended.is_traceback) == (0, False), ended
    assert not lab.differences(lab.contents(undisturbed), lab.contents(out))


@pytest.mark.slow
def test_a_scheduler_that_is_not_there_is_a_sentence(lab: Any, tmp_path: Path) -> None:
    options = ("--backend", "dask", "--scheduler", "tcp://127.0.0.1:9")
    ended = lab.finish(lab.spec(LONG), tmp_path, *options)
    assert (ended.code, ended.is_traceback) == (2, False), ended
