"""A universal perturbation as a file: fitted once, then added to anyone's photos."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from re import fullmatch
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import cast

import numpy as np
from PIL import Image
from torch import nn

from priemo_bench import registry
from priemo_bench.contracts.attack import AttackEntry, FittableAttack, make_attack
from priemo_bench.contracts.image import EMOTIONS, ByteImages, publish, to_float
from priemo_bench.contracts.storage import load_tensors, save_tensors, storage_errors, write_file
from priemo_bench.contracts.victim import as_art
from priemo_bench.data.pictures import fit, grey, read_picture, stack
from priemo_bench.data.reading import told
from priemo_bench.errors import PriemoError
from priemo_bench.progress import Mode, Progress, duration
from priemo_bench.progress import progress as show
from priemo_bench.run.context import RunContext
from priemo_bench.run.profiling import PassCounter
from priemo_bench.run.spec import AttackSpec, DatasetSpec, Spec

ENTRY, SURROGATES = "bench_attack", "bench_surrogates"
"""Metadata that the harness adds to what an attack saves."""


@dataclass(frozen=True)
class FitRequest:
    """A universal attack to fit on the fit split of a data set.

    Attributes:
        attack: name of its entry point; params: constructor arguments.
        surrogates: classifiers that it has white-box access to.
        limit: faces to fit on; None is all.
        target: emotion to be predicted; None is untargeted.
        seed: of the sample of faces, and of the attack.
    """

    attack: str
    surrogates: tuple[str, ...]
    dataset: DatasetSpec
    params: dict[str, object]
    limit: int | None = None
    target: str | None = None
    seed: int = 0


def fit_to_file(request: FitRequest, out: Path, progress: Mode = "auto") -> None:
    """Fit and write a safetensors file that `protect_photos` reads.

    Args:
        progress: on standard error: "auto", "bars", "lines", "json" or "quiet".

    Raises:
        PriemoError: an attack that has no fit to save, or anything unknown or unwritable.
    """
    entry: AttackEntry = registry.get("attacks", request.attack)
    if not entry.traits.is_fitted:
        raise PriemoError(
            f"attack {request.attack!r} has nothing to save: it is computed for each image; fit "
            f"one of {', '.join(_fitted_attacks())}"
        )
    _try_place(out)
    begun = time.monotonic()
    with show(progress) as shown:
        attack = _fitted(entry, request, shown)
        _save(attack, request, out)
        shown.say(f"{request.attack} fitted in {duration(time.monotonic() - begun)}: {out}")


def _save(attack: FittableAttack, request: FitRequest, out: Path) -> None:
    with TemporaryDirectory() as folder:
        own = Path(folder) / out.name
        attack.save(own)
        tensors, metadata = load_tensors(own)
    surrogates = "+".join(request.surrogates)
    save_tensors(out, tensors, {**metadata, ENTRY: request.attack, SURROGATES: surrogates})


def _try_place(out: Path) -> None:
    """PriemoError unless a file can be written at `out`, whose folder is made."""
    if out.suffix != ".safetensors":
        raise PriemoError(f"{out} must end in .safetensors")
    if out.is_dir():
        raise PriemoError(f"{out} is a folder; give the name of a file")
    with storage_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        NamedTemporaryFile(dir=out.parent).close()


def _fitted(entry: AttackEntry, request: FitRequest, shown: Progress) -> FittableAttack:
    if request.target is not None and request.target not in EMOTIONS:
        raise registry.unknown("emotions", request.target, EMOTIONS)
    context, name = _context(request), request.dataset.name
    for surrogate in request.surrogates:
        if reason := context.broken.get(f"victim {surrogate}"):
            raise PriemoError(f"surrogate {surrogate!r}: {reason}")
    shown.say(f"opening {name} and {', '.join(request.surrogates)}")
    faces = context.faces(name, "fit", request.limit, request.seed)
    classifiers = context.classifiers(request.attack, request.surrogates, name)
    if request.target is None:
        labels = context.predictions(request.surrogates, faces)
    else:
        labels = np.full(len(faces), EMOTIONS.index(request.target), np.int64)
    attack = make_attack(
        entry, classifiers, request.params, request.seed, targeted=request.target is not None
    )
    models = [context.victims[surrogate] for surrogate in request.surrogates]
    title = f"fitting {request.attack} on {len(faces):,} faces"
    with _counting(models, title, shown):
        return cast(FittableAttack, attack).fit(to_float(faces.images), labels)


@contextmanager
def _counting(models: Sequence[nn.Module], title: str, shown: Progress) -> Iterator[None]:
    """Tell `shown` of a fit, with how many images have gone through the models so far."""
    over = threading.Event()
    shown.run(1)
    shown.begin(title, title)
    with PassCounter(models) as counter:

        def watch() -> None:
            while not over.wait(0.5):
                shown.step(title, counter.forwards)

        thread = threading.Thread(target=watch, name="progress of a fit", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
    shown.end(title, title, note=f"{counter.forwards:,} images through the surrogates")


def _context(request: FitRequest) -> RunContext:
    if not request.surrogates:
        raise PriemoError("a universal perturbation needs --surrogates")
    attacks = (AttackSpec(name=request.attack),)
    spec = Spec(datasets=(request.dataset,), victims=request.surrogates, attacks=attacks)
    return RunContext(spec)


def _fitted_attacks() -> Iterator[str]:
    """Attacks whose perturbation can be saved; those that cannot be imported are none."""
    for name in registry.names("attacks"):
        with suppress(PriemoError):
            if registry.get("attacks", name).traits.is_fitted:
                yield name


def protect_photos(
    photos: Sequence[Path], perturbation: Path, out: Path, resize: bool = False
) -> Iterator[Path]:
    """Write each face photo with the perturbation as OUT/NAME.png; yields the files.

    Args:
        resize: bring photos to the size that was fitted (the middle square of each).

    Raises:
        PriemoError: an unreadable photo or perturbation, a photo of another size than what was
            fitted (a generator is for any), or a file that would be written over a photo.
    """
    metadata = _metadata(perturbation)
    channels, height, width = (int(side) for side in metadata["image"].split("x"))
    paths = _places(photos, out)
    with told(perturbation, "cannot be read as a perturbation"):
        attack = _loaded(metadata, perturbation, channels, height)
    any_size = registry.get("attacks", metadata[ENTRY]).traits.scope == "generator"
    for photo, path in zip(photos, paths, strict=True):
        x, profile = _photo(photo, (channels, height, width), resize, any_size)
        with told(perturbation, f"does not protect {photo}"):
            image = _protected(attack, x, channels)[0]
        picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
        save = partial(picture.save, format="PNG", icc_profile=profile)
        write_file(path, save)
        yield path


def _protected(attack: FittableAttack, x: ByteImages, channels: int) -> ByteImages:
    """Photos (n, c, h, w) as they are published.

    What was fitted on grey faces changes the three channels of a colour photo alike, by what it
    changes in the grey one.
    """
    if channels == x.shape[1]:
        return publish(attack.apply(to_float(x)))
    before = grey(x)
    change = publish(attack.apply(to_float(before))).astype(np.int16) - before
    return (x + change).clip(0, 255).astype(np.uint8)


def _places(photos: Sequence[Path], out: Path) -> list[Path]:
    """The file of each protected photo; PriemoError for two of one name, or one that is a photo."""
    paths = [out / f"{photo.stem}.png" for photo in photos]
    if len(set(paths)) < len(paths):
        raise PriemoError("two photos have the same name; protect them into folders of their own")
    taken = [path for path in paths if path.exists()]
    if taken and any(photo.exists() and out.samefile(photo.parent) for photo in photos):
        raise PriemoError(
            f"{taken[0]} is there already, in the folder of your photos; give another with --out"
        )
    for photo in photos:
        if photo.exists() and any(path.samefile(photo) for path in taken):
            raise PriemoError(f"{photo} would be written over; give another folder with --out")
    return paths


def _metadata(path: Path) -> dict[str, str]:
    _, metadata = load_tensors(path)
    sides = fullmatch(r"[13]x[1-9]\d{0,3}x[1-9]\d{0,3}", metadata.get("image", ""))
    if not sides or not {ENTRY, SURROGATES} <= set(metadata):
        raise PriemoError(f"{path} was not written by priemo-bench fit")
    return metadata


def _loaded(metadata: dict[str, str], path: Path, channels: int, side: int) -> FittableAttack:
    """The attack; with its surrogates only where it predicts the emotion of a photo first."""
    entry = registry.get("attacks", metadata[ENTRY])
    if entry.traits.scope != "class":
        return cast(FittableAttack, entry.load(path))
    names = metadata[SURROGATES].split("+")
    models = [as_art(registry.get("victims", name)(), channels, side) for name in names]
    more = {"surrogates": tuple(models[1:])} if len(models) > 1 else {}
    return cast(FittableAttack, entry.load(path, models[0], **more))


def _photo(
    path: Path, shape: tuple[int, int, int], resize: bool, any_size: bool
) -> tuple[ByteImages, bytes | None]:
    """One photo as (1, c, h, w), and its colour profile; in colour where `shape` is."""
    channels, height, width = shape
    picture, mode = read_picture(path)
    profile = None if mode in ("CMYK", "YCbCr", "LAB") else picture.info.get("icc_profile")
    if resize:
        picture = fit(picture, width)
    elif picture.size != (width, height) and not any_size:
        raise PriemoError(
            f"{path} is {picture.width}x{picture.height}, the perturbation is for faces of "
            f"{width}x{height}; crop it, or give --resize"
        )
    return stack([picture if channels == 1 else picture.convert("RGB")], [path]), profile
