"""Commands that run attacks against victims: run, adversaries, profile."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from priemo_bench.cli.options import (
    Attacks,
    Defenses,
    Device,
    DryRun,
    Eps,
    Floors,
    Groups,
    Items,
    Jobs,
    Json,
    Overwrite,
    Params,
    PsnrFloor,
    Quiet,
    Seeds,
    Sort,
    SsimFloor,
    Victims,
    interruptible,
    items,
    mode,
    note,
    setting,
    typed,
    with_options,
)

app = typer.Typer()


def _overrides(
    dataset: Annotated[str | None, typer.Option(help="instead of the spec's")] = None,
    data: Annotated[Path | None, typer.Option(help="your copy of the data set")] = None,
    size: Annotated[int | None, typer.Option(help="side of the images in pixels")] = None,
    limit: Annotated[int | None, typer.Option(help="test faces, sampled once")] = None,
    attacks: Attacks = None,
    param: Params = None,
    victims: Victims = None,
    surrogates: Groups = None,
    seeds: Seeds = None,
) -> dict[str, object]:
    """Values of a spec that `run` and `profile` replace."""
    given = dict(locals())
    params = given.pop("param")
    return {**given, "params": dict(map(setting, params)) if params else None}


SPECS = sorted(path.stem for path in Path(__file__).parents[1].glob("specs/*.toml"))


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
    """What runs the cells of `run`."""
    return dict(locals())


@app.command()
@with_options(_workers, "workers")
@with_options(_overrides, "overrides")
def run(
    overrides: dict[str, Any],
    workers: dict[str, Any],
    spec: Annotated[str, typer.Argument(help=f"{', '.join(SPECS)}, or a TOML file")] = "default",
    defenses: Defenses = None,
    metrics: Annotated[
        Items[str] | None,
        typer.Option(
            parser=items(str, "a,b"), metavar="A,B", help="of quality, beyond SSIM, PSNR and linf"
        ),
    ] = None,
    ssim_floor: SsimFloor = None,
    psnr_floor: PsnrFloor = None,
    eps: Eps = None,
    floors: Floors = None,
    out: Annotated[
        Path | None,
        typer.Option(help="folder; by default runs/NAME, with overrides one of its own"),
    ] = None,
    overwrite: Overwrite = False,
    sort: Sort = "",
    dry_run: DryRun = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Run attacks against victims, and write leaderboards; finished work is never done again.

    The equal budget is an SSIM floor and a cap (--eps) on the change of each pixel; a PSNR floor
    is a second one. Exit code 1 when a cell failed, or a part of one.

    Examples:

      priemo-bench run

      priemo-bench run --attacks mine.py:shift,noise --limit 70 --floors 0.98,0.95

      priemo-bench run fer2013 --data fer2013.csv --limit 200 --jobs 2

      priemo-bench run --dry-run
    """
    from priemo_bench.benchmark import Benchmark
    from priemo_bench.report.terminal import plan, sort_heading, summary

    by = sort_heading(sort) if sort else ""
    benchmark = Benchmark(
        spec, out=out, overwrite=overwrite, command=typed(), defenses=defenses, metrics=metrics,
        ssim_floor=ssim_floor, psnr_floor=psnr_floor, eps=eps, floors=floors, **workers,
        **overrides,
    )  # fmt: skip
    if outside := benchmark.spec.outside_surrogates:
        note(f"the attacks also have access to {', '.join(outside)}, which are no victims here")
    with interruptible():
        if dry_run:
            plan(benchmark.plan(), benchmark.out)
            return
        outcome = summary(benchmark.run(mode(quiet, json)).out, by)
    if outcome.failed or outcome.incomplete:
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

    Example: priemo-bench adversaries --data fer2013.csv --limit 50
    """
    from priemo_bench.adversaries.front import Adversaries

    study = Adversaries(spec, data, limit, out, jobs, device, typed())
    with interruptible():
        study.run(mode(quiet, json))
    print(study.out / "README.md")
    for title, reason in study.failures.items():
        note(f"{title}: {reason}")
    if study.failures:
        raise typer.Exit(1)


@app.command()
@with_options(_overrides, "overrides")
def profile(
    overrides: dict[str, Any],
    spec: Annotated[str, typer.Argument(help="as for run")] = "default",
    device: Device = "cpu",
    quiet: Quiet = False,
) -> None:
    """Where the time of a run goes: model passes, SSIM, filters, metrics, writing, start-up.

    The run is made from nothing in a temporary folder.

    Example: priemo-bench profile --attacks pgd,noise --victims resnet --limit 14
    """
    from priemo_bench.benchmark import profile as profiled
    from priemo_bench.report.terminal import stages

    with interruptible(goes_on=False):
        stages(profiled(spec, device, mode(quiet, False), **overrides))
