"""How long commands without a model take, by `pytest -m slow -s -n 0`.

Processor time, in that of importing pandas, without which neither begins: seconds say little of a
machine that others use too. On two idle cores importing pandas takes about .35 s.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPORTS = Path(__file__).parents[2] / "reports"
COMPARE, REPORT, LIGHT = 4.5, 10.0, 1.0
"""Times `import pandas`; compare took 14 and report 18 with pandas in the loops of judging."""


def seconds(*command: str) -> float:
    """Of the processor, the least of three."""

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return min(once() for _ in range(3))


@pytest.mark.slow
def test_commands_without_a_model_are_quick(tmp_path: Path) -> None:
    shutil.copytree(REPORTS / "fer2013", tmp_path / "fer2013")
    pandas = seconds("-c", "import pandas")
    cli = ("-m", "priemo_bench.cli")
    folder = str(tmp_path / "fer2013")
    found = {
        "compare": (seconds(*cli, "compare", folder, folder), COMPARE),
        "report": (seconds(*cli, "report", folder), REPORT),
        "list": (seconds(*cli, "list", "attacks"), LIGHT),
        "--help": (seconds(*cli, "--help"), LIGHT),
        "summary": (
            seconds(
                "-c",
                "from pathlib import Path; from priemo_bench.report.terminal import summary; "
                f"summary(Path({folder!r}))",
            ),
            LIGHT,
        ),
    }
    for name, (own, wanted) in found.items():
        print(f"{name}: {own:.2f} s, {own / pandas:.1f} (at most {wanted}) of import pandas")
    assert all(own / pandas <= wanted for own, wanted in found.values())
