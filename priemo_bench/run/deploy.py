"""A universal perturbation as a file: fitted once, then added to anyone's photos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
from PIL import Image

from priemo_bench import registry
from priemo_bench.contracts.attack import AttackEntry, FittableAttack, make_attack
from priemo_bench.contracts.image import EMOTIONS, ByteImages, publish, to_float
from priemo_bench.contracts.storage import load_tensors, save_tensors, write_file
from priemo_bench.contracts.victim import as_art
from priemo_bench.data.pictures import fit, grey, read_picture, stack
from priemo_bench.errors import PriemoError
from priemo_bench.run.context import RunContext
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


def fit_to_file(request: FitRequest, out: Path) -> None:
    """Fit and write a safetensors file that `protect_photos` reads.

    Raises:
        PriemoError: an attack that has no fit to save, or anything unknown or unwritable.
    """
    entry: AttackEntry = registry.get("attacks", request.attack)
    if not entry.traits.is_fitted:
        raise PriemoError(
            f"attack {request.attack!r} has nothing to save: it is computed for each image; fit "
            f"one of {', '.join(_fitted_attacks())}"
        )
    if out.suffix != ".safetensors":
        raise PriemoError(f"{out} must end in .safetensors")
    attack = _fitted(entry, request)
    with TemporaryDirectory() as folder:
        own = Path(folder) / out.name
        attack.save(own)
        tensors, metadata = load_tensors(own)
    surrogates = "+".join(request.surrogates)
    save_tensors(out, tensors, {**metadata, ENTRY: request.attack, SURROGATES: surrogates})


def _fitted(entry: AttackEntry, request: FitRequest) -> FittableAttack:
    context, name = _context(request), request.dataset.name
    faces = context.faces(name, "fit", request.limit, request.seed)
    classifiers = context.classifiers(request.attack, request.surrogates, name)
    labels = context.predictions(request.surrogates, faces)
    targeted = request.target is not None
    if request.target is not None:
        if request.target not in EMOTIONS:
            raise registry.unknown("emotions", request.target, EMOTIONS)
        labels = np.full(len(faces), EMOTIONS.index(request.target), np.int64)
    attack = make_attack(entry, classifiers, request.params, request.seed, targeted)
    return cast(FittableAttack, attack).fit(to_float(faces.images), labels)


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
        PriemoError: an unreadable photo or perturbation, or a photo of another size than what was
            fitted (a generator is for any).
    """
    metadata = _metadata(perturbation)
    channels, height, width = (int(side) for side in metadata["image"].split("x"))
    names = [photo.stem for photo in photos]
    if len(set(names)) < len(names):
        raise PriemoError("two photos have the same name; protect them into folders of their own")
    attack = _loaded(metadata, perturbation, channels, height)
    any_size = registry.get("attacks", metadata[ENTRY]).traits.scope == "generator"
    for photo in photos:
        x = _photo(photo, (channels, height, width), resize, any_size)
        image = publish(attack.apply(to_float(x)))[0]
        picture = Image.fromarray(image[0] if channels == 1 else image.transpose(1, 2, 0))
        path = out / f"{photo.stem}.png"
        write_file(path, lambda file, picture=picture: picture.save(file, "PNG"))  # type: ignore[misc]
        yield path


def _metadata(path: Path) -> dict[str, str]:
    _, metadata = load_tensors(path)
    if ENTRY not in metadata or metadata.get("image", "any") == "any":
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


def _photo(path: Path, shape: tuple[int, int, int], resize: bool, any_size: bool) -> ByteImages:
    """One photo as (1, c, h, w)."""
    channels, height, width = shape
    picture, _ = read_picture(path)
    if resize:
        picture = fit(picture, width)
    elif picture.size != (width, height) and not any_size:
        raise PriemoError(
            f"{path} is {picture.width}x{picture.height}, the perturbation is for faces of "
            f"{width}x{height}; crop it, or give --resize"
        )
    if channels == 1:
        return grey(stack([picture], [path]))
    return stack([picture.convert("RGB")], [path])
