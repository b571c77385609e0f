"""Commands for photos: fit a universal perturbation, protect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from priemo_bench.cli.options import (
    Eps,
    Items,
    Json,
    Params,
    PsnrFloor,
    Quiet,
    Seed,
    SsimFloor,
    interruptible,
    items,
    mode,
    setting,
)

app = typer.Typer()


@app.command()
def fit(
    attack: Annotated[
        str, typer.Argument(metavar="ATTACK", help="a universal one, such as priemo-class or sga")
    ],
    surrogates: Annotated[
        Items[str],
        typer.Option(
            parser=items(str, "a,b"), metavar="A,B", help="recognisers that it has access to"
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="F.safetensors", help="the file")],
    dataset: Annotated[str, typer.Option(help="whose fit split it learns from")] = "rendered",
    data: Annotated[Path | None, typer.Option(help="your copy of the data set")] = None,
    size: Annotated[int | None, typer.Option(help="side of the images in pixels")] = None,
    limit: Annotated[int | None, typer.Option(help="faces to fit on")] = None,
    target: Annotated[str | None, typer.Option(help="emotion to be predicted")] = None,
    ssim_floor: SsimFloor = None,
    psnr_floor: PsnrFloor = None,
    eps: Eps = None,
    param: Params = None,
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Fit a universal perturbation and write it to a file; a PSNR floor replaces the SSIM floor.

    Example: priemo-bench fit priemo-class --surrogates resnet,vgg --limit 70 --out c.safetensors
    """
    from priemo_bench.run.deploy import FitRequest, fit_to_file
    from priemo_bench.run.spec import DatasetSpec, number

    bounds = {"ssim_floor": ssim_floor, "psnr_floor": psnr_floor, "eps": eps}
    if psnr_floor and not ssim_floor:
        bounds["ssim_floor"] = "none"
    params = dict(map(setting, param or ()))
    params |= {name: number(text) for name, text in bounds.items() if text is not None}
    source = DatasetSpec(name=dataset, data=data, size=size)
    request = FitRequest(
        attack, tuple(surrogates), source, params, limit=limit, target=target, seed=seed
    )
    with interruptible(goes_on=False):
        fit_to_file(request, out, mode(quiet, json))
    print(out)


@app.command()
def protect(
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO|FOLDER...", help="JPEG, PNG, HEIC ...")
    ],
    attack: Annotated[
        str | None, typer.Option(help="a per-image attack; priemo-transfer by default")
    ] = None,
    surrogates: Annotated[
        Items[str] | None,
        typer.Option(
            parser=items(str, "a,b"), metavar="A,B", help="recognisers that it looks into"
        ),
    ] = None,
    with_: Annotated[
        Path | None,
        typer.Option(
            "--with",
            metavar="F.safetensors",
            help="in place of an attack, what `fit` wrote, or a name of `list perturbations`",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="folder of the results")] = Path(
        "protected"
    ),
    target: Annotated[str | None, typer.Option(help="emotion to be predicted")] = None,
    ssim_floor: SsimFloor = None,
    psnr_floor: PsnrFloor = None,
    eps: Eps = None,
    jpeg: Annotated[
        int | None, typer.Option(help="write JPEG of this quality, not PNG", metavar="1..95")
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="each photo is one face")] = False,
    keep_metadata: Annotated[
        bool, typer.Option("--keep-metadata/--strip-metadata", help="EXIF and XMP")
    ] = False,
    readers: Annotated[
        Items[str] | None,
        typer.Option(
            parser=items(str, "a,b"),
            metavar="A,B|none",
            help="further recognisers that predict each face before and after",
        ),
    ] = None,
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Protect every face in photos, and leave the rest of them as it was; results are PNG.

    A line a photo, also in OUT/protected.jsonl; finished photos are not done again. Exit code 1
    when one has no face or failed.

    Examples:

      priemo-bench protect party.jpg

      priemo-bench protect holiday/ --attack priemo-survive --surrogates resnet,vgg --out safe

      priemo-bench protect holiday/ --with u.safetensors --jpeg 90 --keep-metadata

      priemo-bench protect party.jpg --with priemo-class-fer2013-v1
    """
    from json import dumps

    from priemo_bench.photos.folder import protect_photos, sentence
    from priemo_bench.photos.front import settings_of
    from priemo_bench.run.spec import number

    if with_ is not None and with_.suffix != ".safetensors" and not with_.exists():
        from priemo_bench.published.perturbations import perturbation_file

        with_ = perturbation_file(str(with_))
    if with_ is not None and attack is not None:
        raise typer.BadParameter("--attack and --with exclude each other")
    bounds = {"ssim_floor": ssim_floor, "psnr_floor": psnr_floor, "eps": eps}
    given = {
        "attack": attack, "surrogates": surrogates, "perturbation": with_, "target": target,
        "jpeg": jpeg, "readers": () if readers == ("none",) else readers,
    }  # fmt: skip
    settings = settings_of(
        **{name: value for name, value in given.items() if value is not None},
        **{name: number(text) for name, text in bounds.items() if text is not None},
        whole=whole, keep_metadata=keep_metadata, seed=seed,
    )  # fmt: skip
    whole_job = True
    with interruptible():
        for line in protect_photos(photos, out, settings, mode(quiet, json)):
            print(dumps(line) if json else sentence(line, out), flush=True)
            whole_job &= line["status"] == "done"
    if not whole_job:
        raise typer.Exit(1)
