"""Commands on models that are asked elsewhere: export, readings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from priemo_bench.cli.options import (
    Folder,
    Items,
    Json,
    Quiet,
    interruptible,
    items,
    mode,
    note,
    typed,
)

app = typer.Typer()


@app.command()
def export(
    run: Folder,
    out: Annotated[Path, typer.Option(metavar="DIR", help="folder for the images")],
    attack: Annotated[
        Items[str] | None,
        typer.Option(
            parser=items(str, "a,b"), metavar="A,B", help="labels of attacks; all by default"
        ),
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write the images of a finished run as PNG, for a black box that is asked elsewhere.

    images.csv says what each is. What is there already is kept.

    Example: priemo-bench export runs/default --out images --attack priemo-image,pgd
    """
    from priemo_bench.run.export import export_images

    with interruptible():
        print(export_images(run, out, attack or (), mode(quiet, json)))


@app.command()
def readings(
    run: Folder,
    answers: Annotated[Path, typer.Argument(metavar="ANSWERS.csv", help="what it said")],
    victim: Annotated[str, typer.Option(metavar="NAME", help="what to call the black box")],
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Take a black box's answers to exported images; it becomes a victim of the run.

    ANSWERS.csv has a line for each image of images.csv: image, label (an emotion), and maybe
    confidence. Where only some attacks were exported, the tables go to RUN/readings/NAME.

    Example: priemo-bench readings runs/default answers.csv --victim rekognition
    """
    from priemo_bench.benchmark import Benchmark
    from priemo_bench.report.terminal import summary
    from priemo_bench.run.readings import take_answers

    answered = take_answers(run, answers, victim)
    if answered.left_out:
        note(f"without answers: {', '.join(answered.left_out)}; see {answered.out}")
    benchmark = Benchmark(
        answered.spec, out=answered.out, store=run, overwrite=True, command=typed()
    )
    with interruptible():
        outcome = summary(benchmark.run(mode(quiet, json)).out)
    if outcome.failed or outcome.incomplete:
        raise typer.Exit(1)
