"""Picture files and emotion folders of the user: read, checked, brought to one size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from priemo_bench.errors import PriemoError
from priemo_bench.images import EMOTIONS, Bytes

SUFFIXES = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))

SYNONYMS = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
} | {name: name for name in EMOTIONS}
"""Folder names (casefolded) that are understood, and the emotion each means."""


def read_picture(path: Path) -> tuple[Image.Image, str]:
    """The picture at `path` as an upright 8-bit "L" or "RGB" image, and its mode in the file.

    Transparent parts become white.

    Raises:
        PriemoError: the file is truncated, not a picture, or has more than 8 bits a channel.
    """
    try:
        with Image.open(path) as file:
            file.load()
            picture: Image.Image = ImageOps.exif_transpose(file)
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        reason = str(error).removeprefix("cannot identify image file ").splitlines()[0]
        raise PriemoError(f"{path} cannot be read as a picture: {reason}") from None
    if picture.mode[0] in "IF":
        raise PriemoError(
            f"{path} has more than 8 bits a channel (mode {picture.mode}); save it as 8-bit"
        )
    mode = picture.mode
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert("L" if mode in ("1", "L", "LA", "La") else "RGB"), mode


def resize(images: Bytes, size: int | None) -> Bytes:
    """(n, c, h, w) uint8 to (n, c, size, size), bicubic and antialiased; as it is for None."""
    if size is None or images.shape[2:] == (size, size):
        return images
    check_size(size)
    out = np.empty((*images.shape[:2], size, size), np.uint8)
    for target, image in zip(out.reshape(-1, size, size), _planes(images), strict=True):
        target[:] = Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC)
    return out


def _planes(images: Bytes) -> Bytes:
    return images.reshape(-1, *images.shape[2:])


def check_size(size: int | None) -> None:
    """PriemoError unless `size` is None or a usable side in pixels."""
    if size is not None and not 8 <= size <= 4096:
        raise PriemoError(f"size is {size}; it must be a side from 8 to 4096 pixels")


def stack(pictures: list[Image.Image], size: int | None, where: Path) -> Bytes:
    """Pictures as one (n, 1 or 3, h, w) array: grey only if all of them are.

    Raises:
        PriemoError: the pictures differ in size and no `size` is given.
    """
    if size is not None:
        check_size(size)
        pictures = [
            p if p.size == (size, size) else p.resize((size, size), Image.Resampling.BICUBIC)
            for p in pictures
        ]
    shapes = sorted({p.size for p in pictures})
    if len(shapes) > 1:
        (w, h), (w2, h2) = shapes[0], shapes[-1]
        raise PriemoError(
            f"the pictures in {where} differ in size (from {w}x{h} to {w2}x{h2}); choose one side "
            "in pixels with --size"
        )
    if all(p.mode == "L" for p in pictures):
        return np.stack([np.asarray(p) for p in pictures])[:, None]
    return np.stack([np.asarray(p.convert("RGB")) for p in pictures]).transpose(0, 3, 1, 2).copy()


def emotion_folders(root: Path) -> dict[str, list[Path]]:
    """Picture files of every emotion under `root`, one sub-folder per emotion, sorted by path.

    Raises:
        PriemoError: an unknown folder name, or an emotion without pictures.
    """
    files: dict[str, list[Path]] = {name: [] for name in EMOTIONS}
    for folder in sorted(p for p in root.iterdir() if p.is_dir() and p.name[0] not in "._"):
        emotion = SYNONYMS.get(folder.name.casefold())
        if emotion is None:
            raise PriemoError(
                f"{folder} is not named after one of the seven emotions "
                f"({', '.join(sorted(SYNONYMS))}); rename it or move it away"
            )
        files[emotion] += sorted(
            p
            for p in folder.rglob("*")
            if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")
        )
    if missing := [name for name, found in files.items() if not found]:
        raise PriemoError(
            f"{root} has no pictures of {' or '.join(missing)}; it needs a sub-folder with "
            f"pictures for each of {', '.join(EMOTIONS)}"
        )
    return files
