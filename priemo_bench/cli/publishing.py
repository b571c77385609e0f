"""Commands for results that others publish: submit, check-submission."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from priemo_bench.cli.options import Folder, Items, items

app = typer.Typer()


@app.command()
def submit(
    run: Folder,
    name: Annotated[str, typer.Option(metavar="NAME", help="of entry and file: a-z 0-9 . -")],
    authors: Annotated[
        Items[str],
        typer.Option(parser=items(str, "A. Person,B. Person"), metavar="A,B", help="who did it"),
    ],
    link: Annotated[str, typer.Option(metavar="https://...", help="to the code or the paper")],
    attacks: Annotated[
        Items[str] | None,
        typer.Option(
            parser=items(str, "a,b"),
            metavar="A,B",
            help="labels of the attacks that are handed in; all by default",
        ),
    ] = None,
    reevaluates: Annotated[
        str,
        typer.Option(
            metavar="[ENTRY/]ATTACK",
            help="the published entry that this run evaluates again, against a harder adversary",
        ),
    ] = "",
    out: Annotated[Path, typer.Option(metavar="DIR", help="folder of the file")] = Path("."),
) -> None:
    """Write one file of a run that can stand on the leaderboard, check it, and say what to do next.

    The run must be of a benchmark: its pictures, victims, budgets (`priemo-bench list benchmarks`).
    With --reevaluates it may have further victims and defenses; the lowest rate that it leaves
    then stands beside the entry.

    Examples:

      priemo-bench submit runs/mine --name shift-2026 --authors "A. Person" --link https://a.org/b

      priemo-bench submit runs/harder --name lift-1 --authors "B. Person" --link https://b.org
      --reevaluates priemo-image
    """
    from priemo_bench.published.submitting import submit as written
    from priemo_bench.published.submitting import what_next

    made = written(
        run, out, name=name, authors=tuple(authors), link=link, attacks=tuple(attacks or ()),
        reevaluates=reevaluates,
    )  # fmt: skip
    print(what_next(made, out / f"{name}.json"))


@app.command(name="check-submission")
def check_submission(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="what `submit` wrote")],
) -> None:
    """Whether submissions say what their readings say; every rate is computed again.

    Example: priemo-bench check-submission reports/submissions/shift-2026.json
    """
    from priemo_bench.published.checking import check
    from priemo_bench.published.submission import Submission

    for file in files:
        made = Submission.read(file)
        check(made)
        print(f"{file}: {len(made.methods)} methods of {made.benchmark}, as their readings say")
