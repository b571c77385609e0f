"""Picture files and emotion folders of the user: read, checked, resized."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache, partial
from pathlib import Path
from re import findall
from threading import Lock

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from priemo_bench.contracts.emotions import emotion_of
from priemo_bench.contracts.image import EMOTIONS, ByteImages
from priemo_bench.data.reading import told
from priemo_bench.errors import PriemoError

SUFFIXES = frozenset(
    (".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif",
     ".tiff", ".webp")
)  # fmt: skip
HEIF = frozenset((".heic", ".heif", ".hif"))
"""Read where pillow-heif is installed."""
FORMATS = (
    "AVIF", "BMP", "GIF", "HEIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP",
)  # fmt: skip
"""Of Pillow; others are old, or run a program (EPS runs Ghostscript)."""
SMALLEST, LARGEST = 11, 4096
"""Sides of an image in pixels; SSIM has a window of 11."""
MOST_PIXELS = 64_000_000
"""Of a picture file: a small file may hold so many that they fill the memory."""
ALONE = 4_000_000
"""Pictures of more pixels are decoded one at a time, whatever the number of threads."""
_alone, _opening = Lock(), Lock()


def read_picture(path: Path, size: int | None = None) -> tuple[Image.Image, str]:
    """The picture at `path` as an upright 8-bit "L" or "RGB" image, and its mode in the file.

    Transparent parts become white. With `size`, a larger JPEG is decoded at a fraction of its
    sides, at least twice `size`.

    Raises:
        PriemoError: the file is truncated, not a picture, has more than 8 bits a channel or more
            than MOST_PIXELS.
    """
    with told(path, "cannot be read as a picture"), open_picture(path) as file:
        pixels = file.width * file.height
        with _alone if pixels > ALONE else nullcontext():
            if size is not None:
                file.draft(None, (2 * size, 2 * size))
            file.load()
            ImageOps.exif_transpose(file, in_place=True)
            if file.mode[0] in "IF":
                raise PriemoError(
                    f"{path} has more than 8 bits a channel (mode {file.mode}); save it as 8-bit"
                )
            return _eight_bit(file), file.mode


def open_picture(path: Path) -> Image.Image:
    """The picture at `path`, known by its content, not decoded yet.

    Raises:
        PriemoError: no file, of none of FORMATS, or with more than MOST_PIXELS.
    """
    if path.exists() and not path.is_file():
        raise PriemoError(f"{path} is no file")  # a pipe would be waited for
    can_read_heif()
    Image.init()
    kinds = [kind for kind in FORMATS if kind in Image.OPEN]
    try:
        with _opening, warnings.catch_warnings():  # of many pixels, which are refused below
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            file = Image.open(path, formats=kinds)
    except Image.DecompressionBombError as error:
        pixels = int(next(iter(findall(r"\d+", str(error))), 0))
        raise _too_large(path, pixels) from None
    except UnidentifiedImageError:
        raise _unidentified(path) from None
    if file.width * file.height > MOST_PIXELS:
        file.close()
        raise _too_large(path, file.width * file.height)
    return file


def _too_large(path: Path, pixels: int) -> PriemoError:
    return PriemoError(
        f"{path} has {pixels / 1e6:.0f} megapixels; make it smaller, "
        f"{MOST_PIXELS // 10**6} are the most"
    )


def _unidentified(path: Path) -> PriemoError:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1"):
        if not can_read_heif():
            return PriemoError(
                f"{path} is a HEIF picture, which needs the package pillow-heif (pip install "
                "pillow-heif); or save it as JPEG or PNG"
            )
        return PriemoError(f"{path} cannot be read as a picture: it is a damaged HEIF file")
    return PriemoError(
        f"{path} cannot be read as a picture: it is of no known type; save it as JPEG or PNG"
    )


@cache
def can_read_heif() -> bool:
    """Whether pillow-heif is installed; Pillow then reads HEIF."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def suffixes() -> frozenset[str]:
    """Of the files that are pictures, in lower case."""
    return SUFFIXES | HEIF if can_read_heif() else SUFFIXES


def _eight_bit(picture: Image.Image) -> Image.Image:
    """As "L" or "RGB", on white."""
    mode = picture.mode
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        profile = picture.info.get("icc_profile")
        picture = Image.alpha_composite(white, picture)
        picture.info["icc_profile"] = profile
    wanted = "L" if mode in ("1", "L", "LA", "La") else "RGB"
    return picture if picture.mode == wanted else picture.convert(wanted)


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
    if size is not None and not SMALLEST <= size <= LARGEST:
        raise PriemoError(f"size is {size}; it must be a side from {SMALLEST} to {LARGEST} pixels")


def read_pictures(paths: Sequence[Path], size: int | None) -> tuple[ByteImages, list[str]]:
    """The pictures as one (n, 1 or 3, h, w) array, grey only if all are; and notes on changes.

    With `size`, each is cropped to its central square and resized to that side.

    Raises:
        PriemoError: a picture cannot be read, or they differ in size and no `size` is given.
    """
    check_size(size)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        read = list(pool.map(partial(_read_and_resize, size=size), paths))
    modes = Counter(mode for _, mode, *_ in read if mode not in ("L", "RGB"))
    notes = [
        f"{n} pictures of mode {mode} were converted to 8-bit RGB or grey"
        for mode, n in sorted(modes.items())
    ]
    if size is not None and (oblong := sum(w != h for _, _, (w, h), _ in read)):
        notes.append(f"{oblong} pictures are not square: their middle was used")
    if wide := sum(is_other for *_, is_other in read):
        notes.append(f"{wide} pictures are not in sRGB: their values were taken as they are")
    return stack([picture for picture, *_ in read], paths), notes


def _read_and_resize(
    path: Path, size: int | None
) -> tuple[Image.Image, str, tuple[int, int], bool]:
    """The picture, resized if `size` is given, its mode and (width, height) before.

    And whether it has a colour profile of another space than sRGB.
    """
    picture, mode = read_picture(path, size)
    fitted = picture if size is None else fit(picture, size)
    return fitted, mode, picture.size, _is_other(picture.info.get("icc_profile"))


def _is_other(profile: bytes | None) -> bool:
    """Whether an ICC profile says nothing of sRGB (its text is ASCII or UTF-16)."""
    return profile is not None and not any(
        word in profile for word in (b"sRGB", "sRGB".encode("utf-16-be"))
    )


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


def emotion_folders(root: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """Picture files of each emotion, and notes on other files.

    They are in sub-folders of `root` named after the emotion, sorted by path; links are followed.

    Raises:
        PriemoError: an unknown folder name, or an emotion without pictures.
    """
    files: dict[str, list[Path]] = {name: [] for name in EMOTIONS}
    others: Counter[str] = Counter()
    known = suffixes()
    for folder in sorted(p for p in root.iterdir() if p.is_dir() and p.name[0] not in "._"):
        emotion = emotion_of(folder.name)
        if emotion is None:
            raise PriemoError(
                f"{folder} is not named after one of the seven emotions "
                f"({', '.join(EMOTIONS)}, or a usual synonym); rename it or move it away"
            )
        for path in sorted(visible_files(folder)):
            if path.suffix.lower() in known:
                files[emotion].append(path)
            else:
                others[path.suffix.lower() or "none"] += 1
    if missing := [name for name, found in files.items() if not found]:
        raise PriemoError(
            f"{root} has no pictures of {' or '.join(missing)}; it needs a sub-folder with "
            f"pictures for each of {', '.join(EMOTIONS)}"
        )
    return files, [f"{n} files of type {t} were left out" for t, n in sorted(others.items())]


def visible_files(folder: Path) -> Iterator[Path]:
    """Files below `folder` and below what it links to, each folder once, but none that holds it."""
    seen = {str(p) for p in (*folder.resolve().parents, *folder.absolute().parents)}
    for at, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(at)
        folders[:] = [] if real in seen else [name for name in folders if name[0] != "."]
        if real not in seen:
            seen.add(real)
            yield from (Path(at, name) for name in names if name[0] != ".")
