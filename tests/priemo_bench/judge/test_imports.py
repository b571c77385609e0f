"""Judging and reporting need stored rows only: what is slow to import is not imported."""

from __future__ import annotations

import subprocess
import sys

IMPORTED = [
    "priemo_bench.judge.compare", "priemo_bench.judge.curves", "priemo_bench.judge.leaderboard",
    "priemo_bench.report", "priemo_bench.report.palette", "priemo_bench.report.terminal",
]  # fmt: skip
SLOW = ["art", "matplotlib", "pydantic", "scipy.stats", "seaborn", "timm", "torch"]


def test_neither_torch_nor_a_drawing_library_is_imported() -> None:
    code = f"import sys, {', '.join(IMPORTED)}; print(sorted({set(SLOW)} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "[]"
