"""The command that joins runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from priemo_bench.cli.options import typed

app = typer.Typer()


@app.command()
def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="folders of runs")],
    out: Annotated[Path, typer.Option(help="folder of the merged run, new or empty")],
) -> None:
    """Join runs of several machines, seeds, attacks or SSIM floors on the same faces into one.

    Example: priemo-bench merge runs/seed-0 runs/seed-1 --out runs/both
    """
    from priemo_bench.contracts.rows import Rows
    from priemo_bench.contracts.storage import storage_errors
    from priemo_bench.errors import PriemoError
    from priemo_bench.judge.merging import merged
    from priemo_bench.report import write_report
    from priemo_bench.report.files import ROWS

    with storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise PriemoError(f"{out} is not empty; give a folder that is new or empty")
    rows = merged([Rows.load(folder / ROWS) for folder in folders], typed())
    rows.save(out / ROWS)
    write_report(out)
    print(out / "README.md")
