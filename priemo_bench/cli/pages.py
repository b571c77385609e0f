"""Commands on finished runs: report, republish, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from priemo_bench.cli.options import Device, Folder, Items, Jobs, interruptible, items

app = typer.Typer()


@app.command()
def report(
    folder: Folder,
    kin: Annotated[
        Items[str] | None,
        typer.Option(
            parser=items(str, "a,b"), metavar="A,B", help="who counts as kin: weights, authors ..."
        ),
    ] = None,
) -> None:
    """Tables, figures and page again, from the stored rows of a run, of curves or of a study."""
    from priemo_bench.adversaries.front import rewrite as rewrite_study
    from priemo_bench.curve import rewrite
    from priemo_bench.judge.kinship import COUNTED_RELATIONS
    from priemo_bench.report import write_report

    counted = COUNTED_RELATIONS if kin is None else kin
    if not rewrite_study(folder) and not rewrite(folder, counted):
        write_report(folder, counted)
    print(folder / "README.md")


@app.command()
def republish(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...")] = None,
    data: Annotated[Path, typer.Option(help="your copy of FER2013")] = Path("fer2013.csv"),
    jobs: Jobs = 1,
    device: Device = "cpu",
    dry_run: Annotated[bool, typer.Option(help="only say what is stale")] = False,
    pages: Annotated[Path, typer.Option(help="the list of them")] = Path("reports/pages.toml"),
) -> None:
    """Make published pages anew where the code has changed since; exit code 1 if one fails."""
    from priemo_bench.republish import republish as make

    with interruptible():
        if not make(pages, names or (), data, jobs, device, dry_run):
            raise typer.Exit(1)


@app.command()
def compare(
    old: Annotated[Path, typer.Argument(metavar="OLD")],
    new: Annotated[Path, typer.Argument(metavar="NEW")],
    fail_on: Annotated[str, typer.Option(help="never or regression")] = "never",
) -> None:
    """Rank and rate changes between two runs, with intervals; exit code 1 for --fail-on."""
    from priemo_bench.judge.compare import compared, regressions
    from priemo_bench.registry import unknown
    from priemo_bench.report.terminal import comparison

    if fail_on not in ("never", "regression"):
        raise unknown("failures", fail_on, ("never", "regression"))
    table = compared(old, new)
    comparison(table)
    if fail_on == "regression" and len(regressions(table)):
        raise typer.Exit(1)
