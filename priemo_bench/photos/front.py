"""`protect`: a picture, an array or a file, protected in one call."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from priemo_bench.errors import PriemoError
from priemo_bench.photos.folder import protect_photos
from priemo_bench.photos.photo import Photo, from_array, from_picture
from priemo_bench.photos.protector import Protector
from priemo_bench.photos.settings import Settings

Picture = TypeVar("Picture")
OPTIONS = {field.name for field in fields(Settings)} - {"bounds", "params"}


def settings_of(**options: Any) -> Settings:
    """Settings from keyword arguments: those of `Settings`, its bounds, and the attack's own.

    Example:
        >>> settings_of(attack="pgd", eps=4 / 255, max_iter=5).params
        {'max_iter': 5}
    """
    bounds: dict[str, float | None] = {
        name: options.pop(name) for name in ("ssim_floor", "psnr_floor", "eps") if name in options
    }
    params = {name: options.pop(name) for name in set(options) - OPTIONS}
    for name in ("surrogates", "readers"):
        if isinstance(options.get(name), str):
            options[name] = tuple(options[name].split(","))
    if options.get("perturbation") is not None:
        options["perturbation"] = Path(options["perturbation"])
    return Settings(bounds=bounds, params=params, **options)


def protect(image: Picture, *, out: str | Path = "protected", **options: Any) -> Picture | Path:
    """A photo with every face in it protected; the rest is as it was.

    Args:
        image: a Pillow image, an array (h, w) or (h, w, 3) of uint8, or the path of a file.
        out: folder of the protected file of a path; nothing is ever written over an original.
        options: `attack` ("priemo-transfer"), `surrogates` (("resnet", "vgg", "repvgg")),
            `perturbation` (a file of `priemo-bench fit`), `ssim_floor`, `psnr_floor`, `eps`,
            `target`, `jpeg`, `whole`, `seed` and others of `Settings`; what is none
            of these is an argument of the attack.

    Returns:
        The same kind of thing: an image, an array, or the path of the file that was written. An
        image or array is not compressed: `jpeg` only says what the attack is to survive.

    Raises:
        PriemoError: no face is found (`whole=True` takes the photo as one), or what else is wrong.

    Example:
        >>> from priemo_bench import load_dataset, protect
        >>> face = load_dataset("rendered").split("test").images[0].transpose(1, 2, 0)
        >>> hidden = protect(face, attack="fgsm", surrogates=["resnet"], readers=())
        >>> hidden.shape, bool((hidden != face).any())
        ((112, 112, 3), True)
    """
    settings = settings_of(**options)
    if isinstance(image, str | os.PathLike):
        return _file(Path(image), Path(out), settings)
    is_picture = isinstance(image, Image.Image)
    photo = from_picture(image.copy()) if isinstance(image, Image.Image) else from_array(image)
    found = Protector(settings)(photo)
    if not any(face.is_protected for face in found.faces):
        raise _no_face(photo)
    if not is_picture:
        return found.pixels.reshape(np.asarray(image).shape)  # type: ignore[return-value]
    picture = photo.picture(found.pixels)
    picture.info.update({"icc_profile": photo.profile} if photo.profile else {})
    return picture  # type: ignore[return-value]


def _file(path: Path, out: Path, settings: Settings) -> Path:
    if path.is_dir():
        raise PriemoError(f"{path} is a folder; protect it by priemo-bench protect {path}")
    (line,) = protect_photos([path], out, settings, progress="quiet")
    if line["status"] == "failed":
        raise PriemoError(line["reason"])
    if line["status"] != "done":
        raise _no_face(Photo(str(path), np.zeros((1, 1, 1), np.uint8)))
    return out / str(line["out"])


def _no_face(photo: Photo) -> PriemoError:
    return PriemoError(
        f"no face was found in {photo.name}; where it is one face alone, take all of it with "
        "whole=True (--whole)"
    )
