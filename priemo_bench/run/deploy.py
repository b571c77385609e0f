"""A universal perturbation as a file: fitted once, then added to anyone's photos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from priemo_bench import registry
from priemo_bench.contracts.attack import FITTED_SCOPES, Traits, make_attack
from priemo_bench.contracts.image import EMOTIONS, ByteImages, FloatImages, publish, to_float
from priemo_bench.contracts.storage import storage_errors, write_file
from priemo_bench.contracts.victim import as_art
from priemo_bench.data.pictures import fit, grey, read_picture, stack
from priemo_bench.errors import PriemoError
from priemo_bench.run.context import RunContext
from priemo_bench.run.spec import AttackSpec, DatasetSpec, Spec

ENTRY, SURROGATES = "bench_attack", "bench_surrogates"
"""Metadata that the harness adds to what an attack saves."""


@dataclass(frozen=True)
class FitRequest:
    """What to fit: an attack, on the fit split of a data set, looking into some classifiers."""

    attack: str
    surrogates: tuple[str, ...]
    dataset: DatasetSpec
    params: dict[str, Any]
    limit: int | None = None
    target: str | None = None
    seed: int = 0


def fit_to_file(request: FitRequest, out: Path) -> None:
    """Fit and write a safetensors file that `protect_photos` reads.

    Raises:
        PriemoError: an attack that learns nothing to be saved, or anything unknown or unwritable.
    """
    entry = registry.get("attacks", request.attack)
    traits: Traits = entry.traits
    if traits.scope not in FITTED_SCOPES:
        raise PriemoError(
            f"attack {request.attack!r} has nothing to save: it is computed for each image; fit "
            f"one of {', '.join(_shared())}"
        )
    if out.suffix != ".safetensors":
        raise PriemoError(f"{out} must end in .safetensors")
    lab = _lab(request)
    attack = _fitted(entry, traits, request, lab)
    with storage_errors(out):
        attack.save(out)
        tensors = load_file(out)
        with safe_open(out, "numpy") as file:
            metadata = dict(file.metadata() or {})
        names = "+".join(request.surrogates)
        save_file(tensors, out, {**metadata, ENTRY: request.attack, SURROGATES: names})


def _fitted(entry: Any, traits: Traits, request: FitRequest, lab: RunContext) -> Any:
    name = request.dataset.name
    faces = lab.faces(name, "fit", request.limit, request.seed)
    models = lab.classifiers(request.attack, request.surrogates, name)
    labels = lab.reading(request.surrogates, faces)
    if request.target is not None:
        if request.target not in EMOTIONS:
            raise registry.unknown("emotions", request.target, EMOTIONS)
        labels = np.full(len(faces), EMOTIONS.index(request.target), np.int64)
    targeted = request.target is not None
    attack: Any = make_attack(entry, models, request.params, request.seed, targeted)
    return attack.fit(to_float(faces.images), labels)


def _lab(request: FitRequest) -> RunContext:
    if not request.surrogates:
        raise PriemoError("a universal perturbation needs --surrogates")
    attacks = (AttackSpec(name=request.attack),)
    spec = Spec(datasets=(request.dataset,), victims=request.surrogates, attacks=attacks)
    return RunContext(spec)


def _shared() -> list[str]:
    """Attacks whose perturbation can be saved."""
    kept = []
    for name in registry.names("attacks"):
        if registry.get("attacks", name).traits.scope in FITTED_SCOPES:
            kept.append(name)
    return kept


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
        protected: FloatImages = attack.apply(to_float(x))
        image = publish(protected)[0]
        picture = Image.fromarray(image[0] if channels == 1 else image.transpose(1, 2, 0))
        path = out / f"{photo.stem}.png"
        write_file(path, lambda file, picture=picture: picture.save(file, "PNG"))  # type: ignore[misc]
        yield path


def _metadata(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, "numpy") as file:
            metadata = dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise PriemoError(f"{path} cannot be read as a perturbation: {error}") from None
    if ENTRY not in metadata or metadata.get("image", "any") == "any":
        raise PriemoError(f"{path} was not written by priemo-bench fit")
    return metadata


def _loaded(metadata: dict[str, str], path: Path, channels: int, side: int) -> Any:
    """The attack; its surrogates are loaded only where it has to read the photo first."""
    entry = registry.get("attacks", metadata[ENTRY])
    if entry.traits.scope != "class":
        return entry.load(path)
    names = metadata[SURROGATES].split("+")
    models = [as_art(registry.get("victims", name)(), channels, side) for name in names]
    more = {"surrogates": tuple(models[1:])} if len(models) > 1 else {}
    return entry.load(path, models[0], **more)


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
