"""The runner end to end on toys: what is asked of surrogates, resumption, failures, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from priemo_bench.benchmark import Benchmark
from priemo_bench.spec import Spec, parse

pytestmark = pytest.mark.usefixtures("world")


def toy_spec(*attacks: dict[str, Any] | str, **more: Any) -> Spec:
    listed = [a if isinstance(a, dict) else {"name": a} for a in attacks]
    values = {"name": "t", "datasets": [{"name": "toys"}], "victims": ["toy-a", "toy-b"]}
    return parse({**values, "attacks": listed, **more})


def test_a_run_from_spec_to_page(tmp_path: Path) -> None:
    spec = toy_spec("nothing", "noise", "gradient", "priemo-image", defenses=["none", "median3"])
    results = Benchmark(spec, out=tmp_path).run()
    board = results.leaderboard()
    best = board[(board["attack"] == "priemo-image")]
    assert (best["protection_rate"] > 0.9).all()
    assert best["within_budget"].all()
    for name in ("leaderboard.csv", "transfer.csv", "defenses.csv", "failures.csv", "README.md",
                 "index.html", "spec.toml", "results.parquet"):  # fmt: skip
        assert (tmp_path / name).is_file(), name
