"""Picture files and emotion folders of the user: read, checked, resized."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from priemo_bench.contracts.emotions import emotion_of
from priemo_bench.contracts.image import EMOTIONS, ByteImages
from priemo_bench.errors import PriemoError

SUFFIXES = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))


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


def resize(images: ByteImages, size: int | None) -> ByteImages:
    """(n, c, h, w) uint8 to (n, c, size, size), bicubic and antialiased; unchanged for None."""
    if size is None or images.shape[2:] == (size, size):
        return images
    check_size(size)
    out = np.empty((*images.shape[:2], size, size), np.uint8)
    planes = images.reshape(-1, *images.shape[2:])
    for target, plane in zip(out.reshape(-1, size, size), planes, strict=True):
        target[:] = fit(Image.fromarray(plane), size)
    return out


def grey(images: ByteImages) -> ByteImages:
    """(n, 1 or 3, h, w) uint8 to (n, 1, h, w): Pillow's luma (ITU-R BT.601)."""
    if images.shape[1] == 1:
        return images
    colour = images.transpose(0, 2, 3, 1)
    return np.stack([np.asarray(Image.fromarray(x).convert("L")) for x in colour])[:, None]


def check_size(size: int | None) -> None:
    """PriemoError unless `size` is None or a usable side in pixels."""
    if size is not None and not 8 <= size <= 4096:
        raise PriemoError(f"size is {size}; it must be a side from 8 to 4096 pixels")


def read_pictures(paths: Sequence[Path], size: int | None) -> tuple[ByteImages, list[str]]:
    """The pictures as one (n, 1 or 3, h, w) array, grey only if all are; and notes on changes.

    With `size`, each is cropped to its central square and resized to that side.

    Raises:
        PriemoError: a picture cannot be read, or they differ in size and no `size` is given.
    """
    check_size(size)
    with ThreadPoolExecutor() as pool:
        read = list(pool.map(partial(_read_and_resize, size=size), paths))
    modes = Counter(mode for _, mode, _ in read if mode not in ("L", "RGB"))
    notes = [
        f"{n} pictures of mode {mode} were converted to 8-bit RGB or grey"
        for mode, n in sorted(modes.items())
    ]
    if size is not None and (oblong := sum(w != h for _, _, (w, h) in read)):
        notes.append(f"{oblong} pictures are not square: their middle was used")
    return stack([picture for picture, _, _ in read], paths), notes


def _read_and_resize(path: Path, size: int | None) -> tuple[Image.Image, str, tuple[int, int]]:
    """The picture, resized if `size` is given, with its original mode and (width, height)."""
    picture, mode = read_picture(path)
    fitted = picture if size is None else fit(picture, size)
    return fitted, mode, picture.size


def fit(picture: Image.Image, size: int) -> Image.Image:
    """The largest central square of the picture, resized to `size` x `size`, bicubic."""
    if picture.size == (size, size):
        return picture
    return ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC)


def stack(pictures: Sequence[Image.Image], names: Sequence[object]) -> ByteImages:
    """Pictures of one size as one (n, 1 or 3, h, w) array; PriemoError names two that differ."""
    first = pictures[0].size
    for picture, name in zip(pictures, names, strict=True):
        if picture.size != first:
            raise PriemoError(
                f"the pictures differ in size ({names[0]} is {first[0]}x{first[1]}, {name} is "
                f"{picture.width}x{picture.height}); choose one side in pixels with --size"
            )
    if all(p.mode == "L" for p in pictures):
        return np.stack([np.asarray(p) for p in pictures])[:, None]
    return np.stack([np.asarray(p.convert("RGB")) for p in pictures]).transpose(0, 3, 1, 2).copy()


def emotion_folders(root: Path) -> dict[str, list[Path]]:
    """Picture files of each emotion, in sub-folders of `root` named after it, sorted by path.

    Raises:
        PriemoError: an unknown folder name, or an emotion without pictures.
    """
    files: dict[str, list[Path]] = {name: [] for name in EMOTIONS}
    for folder in sorted(p for p in root.iterdir() if p.is_dir() and p.name[0] not in "._"):
        emotion = emotion_of(folder.name)
        if emotion is None:
            raise PriemoError(
                f"{folder} is not named after one of the seven emotions "
                f"({', '.join(EMOTIONS)}, or a usual synonym); rename it or move it away"
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
