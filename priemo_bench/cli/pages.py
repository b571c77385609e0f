"""Commands on finished runs: report, republish, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from priemo_bench.cli.options import Device, Folder, Items, Jobs, Sort, interruptible, items

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
    formats: Annotated[
        Items[str] | None,
        typer.Option(
            "--format",
            parser=items(str, "a,b"),
            metavar="A,B",
            help="further files of each table: json, latex, markdown, html, parquet",
        ),
    ] = None,
    sort: Sort = "",
) -> None:
    """Tables, figures and page again, from the stored rows of a run or of a study.

    For a folder with a pages.toml: its index.html over all pages.

    Examples:

      priemo-bench report runs/default

      priemo-bench report runs/default --kin weights,authors

      priemo-bench report runs/default --format latex,json --sort survival

      priemo-bench report reports
    """
    from priemo_bench.adversaries.front import rewrite as rewrite_study
    from priemo_bench.judge.kinship import COUNTED_RELATIONS
    from priemo_bench.published.results import submitted
    from priemo_bench.report import write_overview, write_report
    from priemo_bench.report.export import check_formats, write_tables
    from priemo_bench.report.terminal import sort_heading, summary

    wanted, by = check_formats(formats or ()), sort_heading(sort) if sort else ""
    if (folder / "pages.toml").is_file():
        print(write_overview(folder, submitted(folder)))
        return
    counted = COUNTED_RELATIONS if kin is None else kin
    if rewrite_study(folder):
        print(folder / "README.md")
        return
    if wanted:
        write_tables(folder, wanted, counted)
    write_report(folder, counted)
    summary(folder, by)


@app.command()
def republish(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="pages; all when none")
    ] = None,
    data: Annotated[Path, typer.Option(help="your copy of FER2013")] = Path("fer2013.csv"),
    jobs: Jobs = 1,
    device: Device = "cpu",
    dry_run: Annotated[bool, typer.Option(help="only say what is stale")] = False,
    pages: Annotated[Path, typer.Option(help="the list of them")] = Path("reports/pages.toml"),
) -> None:
    """Make published pages anew where the code has changed since; exit code 1 if one fails.

    Examples:

      priemo-bench republish --dry-run

      priemo-bench republish default --jobs 2
    """
    from priemo_bench.republish import republish as make

    with interruptible():
        if not make(pages, names or (), data, jobs, device, dry_run):
            raise typer.Exit(1)


@app.command()
def compare(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="folder of a run")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="folder of another one")],
    fail_on: Annotated[
        str, typer.Option(help="never, or regression: exit code 1 for one")
    ] = "never",
    everything: Annotated[
        bool, typer.Option("--all", help="rows that agree, too, not only those that changed")
    ] = False,
) -> None:
    """What changed between two runs: ranks and rates with intervals, and one sentence.

    Refused where both mean different things by one name: pictures, budgets, weights. Exit code 1
    where --fail-on regression finds one.

    Examples:

      priemo-bench compare runs/before runs/after

      priemo-bench compare reports/default runs/default --all --fail-on regression
    """
    from priemo_bench.judge.compare import compared, regressions
    from priemo_bench.registry import unknown
    from priemo_bench.report.comparison import comparison

    if fail_on not in ("never", "regression"):
        raise unknown("failures", fail_on, ("never", "regression"))
    table = compared(old, new)
    comparison(table, everything)
    if fail_on == "regression" and len(regressions(table)):
        raise typer.Exit(1)
