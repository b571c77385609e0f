"""Runs of the real command on a plug-in of toys, each in a process of its own that may be killed.

The fixture `lab` starts them; `lab.finish` runs one to its end, `lab.contents` is what two runs
are compared by.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import tomli_w

HERE = Path(__file__).parent
ENV = {"OMP_NUM_THREADS": "1", "TOY_FACES": "28"}
QUICK = """
from priemo_bench.judge import statistics
from priemo_bench.report import figures
figures.FIGURES, statistics.RESAMPLES = (), 50
"""
"""Figures and intervals take longer than all cells of the toys, and are not tested here."""
MEASURED = ("seconds", "peak_mb", "fit_seconds", "ms_per_image")
"""What two runs of one spec need not agree on; nor on columns that end in `_s`, for seconds."""
ATTACKS = (
    {"name": "toy-gradient", "surrogates": ["toy-a", "toy-b"], "budgets": ["equal"]},
    {"name": "toy-shared", "surrogates": ["toy-a"], "budgets": ["equal"]},
    {"name": "toy-noise", "seeds": [0, 1], "budgets": ["equal"]},
    {"name": "toy-blend", "budgets": ["equal"]},
)
SPEC = {
    "name": "toys", "ssim_floor": 0.4, "eps": 0.3, "eps_grid": [0.05, 0.2],
    "victims": ["toy-a", "toy-b", "toy-judge"], "surrogates": ["toy-a"],
    "defenses": ["none", "toy-smooth"], "metrics": ["toy-change"], "datasets": [{"name": "toys"}],
}  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """A run that is over: exit code (minus the signal), what it printed, and seconds."""

    code: int
    text: str
    seconds: float

    @property
    def is_polite(self) -> bool:
        """Whether it ended well, or with words instead of a traceback."""
        return self.code in (0, 1, 2) and bool(self.text.strip()) and not self.is_traceback

    @property
    def is_traceback(self) -> bool:
        return "Traceback" in self.text


@dataclass
class Run:
    """A run that was started."""

    lab: Lab
    pid: int
    log: Path
    start: float
    code: int | None = None

    def poll(self) -> int | None:
        if self.code is None:
            self.code = self.lab.ask({"poll": self.pid})
        return self.code

    def wait(self, timeout: float = 200) -> Ended:
        """Until it is over; beyond `timeout` seconds it is killed, and AssertionError."""
        while self.poll() is None:
            if time.monotonic() - self.start > timeout:
                self.kill(group=True)
                raise AssertionError(f"still running after {timeout} s: {self.log.read_text()}")
            time.sleep(0.005)
        seconds = time.monotonic() - self.start
        assert self.code is not None
        return Ended(self.code, self.log.read_text(errors="replace"), seconds)

    def kill(self, group: bool = False) -> bool:
        """SIGKILL, and wait; whether it still ran."""
        alive = self.poll() is None
        if alive:
            try:
                (os.killpg if group else os.kill)(self.pid, signal.SIGKILL)
            except ProcessLookupError:  # it has no group of its own yet; nor children
                os.kill(self.pid, signal.SIGKILL)
            while self.poll() is None:
                time.sleep(0.005)
        return alive

    def children(self) -> list[psutil.Process]:
        """Processes below it; none once it is over."""
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []


class Lab:
    """Starts runs in forks of one process that has everything imported."""

    ATTACKS, SPEC = ATTACKS, SPEC

    def __init__(self, scratch: Path) -> None:
        self.scratch, self.count = scratch, 0
        self.plugin = self.new_plugin("plugin")
        self.server = subprocess.Popen(
            [sys.executable, HERE / "forking.py"], text=True, env={**os.environ, **ENV},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def ask(self, request: dict[str, Any]) -> Any:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        return json.loads(self.server.stdout.readline())

    def close(self) -> None:
        with self.server:  # which closes its pipes, so that it ends, and waits
            pass

    def new_plugin(self, name: str) -> Path:
        """A folder for PYTHONPATH with a copy of the toy plug-in."""
        return shutil.copytree(HERE / "plugin", self.scratch / name)

    def spec(self, *attacks: dict[str, Any], **values: Any) -> Path:
        """A TOML file: SPEC with `values`, and `attacks` (ATTACKS without any)."""
        self.count += 1
        path = self.scratch / f"spec{self.count}.toml"
        path.write_text(tomli_w.dumps({**SPEC, **values, "attacks": attacks or ATTACKS}))
        return path

    def start(
        self,
        spec: Path,
        out: Path,
        *options: object,
        plugin: Path | None = None,
        setup: str = "",
        env: dict[str, str] | None = None,
    ) -> Run:
        """`priemo-bench run SPEC --out OUT OPTIONS`, after the Python code `setup`."""
        self.count += 1
        log = self.scratch / f"log{self.count}.txt"
        argv = ["run", str(spec), "--out", str(out), *map(str, options)]
        request = {
            "argv": argv, "path": str(plugin or self.plugin), "env": {**ENV, **(env or {})},
            "log": str(log), "setup": QUICK + setup,
        }  # fmt: skip
        return Run(self, self.ask(request), log, time.monotonic())

    def finish(self, spec: Path, out: Path, *options: object, **more: Any) -> Ended:
        """The same, to its end."""
        return self.start(spec, out, *options, **more).wait()

    @staticmethod
    def rows(out: Path) -> pd.DataFrame:
        from priemo_bench import Results

        return Results(out).rows()

    @staticmethod
    def facts(out: Path) -> list[dict[str, Any]]:
        """What is known of each cell, but for MEASURED."""
        from priemo_bench.contracts.rows import Rows

        cells = Rows.load(out / "results.parquet").facts["cells"]
        return [{k: v for k, v in cell.items() if k not in MEASURED} for cell in cells]

    @classmethod
    def contents(cls, out: Path) -> dict[str, pd.DataFrame]:
        """Rows, facts of cells and tables of a run, but for MEASURED, by file."""
        found = {"results.parquet": cls.rows(out), "cells": pd.DataFrame(cls.facts(out))}
        for path in sorted(out.glob("*.csv")):
            table = pd.read_csv(path)
            measured = [c for c in table if c in MEASURED or str(c).endswith("_s")]
            found[path.name] = table.drop(columns=measured)
        return found

    @staticmethod
    def differences(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> list[str]:
        """Where two `contents` differ, in words; empty where they are equal."""
        found = [f"{name} is in one only" for name in {*one} ^ {*other}]
        for name in sorted({*one} & {*other}):
            try:
                pd.testing.assert_frame_equal(one[name], other[name])
            except AssertionError as error:
                found.append(f"{name}: {error}")
        return found

    @staticmethod
    def of_good_parts(rows: pd.DataFrame) -> pd.DataFrame:
        """The rows that no bad part has to do with, in one order, texts as texts."""
        texts = rows.select_dtypes("category").columns
        plain = rows.astype(dict.fromkeys(texts, object))
        named = plain[["attack", "surrogate", "victim", "defense"]]
        bad = named.apply(lambda column: column.str.contains("bad-")).any(axis=1)
        good = plain[~bad].drop(columns=[c for c in plain if str(c).startswith("bad-")])
        keys = [*sorted(texts), "seed"]
        return good.sort_values(keys).reset_index(drop=True)[sorted(good.columns)]


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    laboratory = Lab(tmp_path_factory.mktemp("faults"))
    yield laboratory
    laboratory.close()


@pytest.fixture(scope="session")
def whole(lab: Lab) -> tuple[Path, Path, float]:
    """The spec of all toys, the folder of an undisturbed run of it, and its seconds."""
    spec, out = lab.spec(), lab.scratch / "whole"
    ended = lab.finish(spec, out)
    assert ended.code == 0, ended.text
    return spec, out, ended.seconds


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Another for each test, the same every day."""
    return np.random.default_rng(sum(request.node.nodeid.encode()))
