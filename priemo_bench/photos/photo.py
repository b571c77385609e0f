"""A photo as it is protected: upright 8-bit pixels, and all else that belongs to its file."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms, ImageOps

from priemo_bench.data.pictures import SMALLEST, open_picture
from priemo_bench.data.reading import told
from priemo_bench.errors import PriemoError
from priemo_bench.photos.faces import Pixels

MAKER_NOTE = 0x927C
"""EXIF tag of a camera's private data, which may hold a preview of the photo."""
CONVERTED = ("CMYK", "YCbCr", "LAB", "HSV")
"""Modes that become RGB."""


@dataclass(frozen=True)
class Photo:
    """What was read.

    Attributes:
        name: what errors call it.
        pixels: (h, w, 1 or 3) uint8, upright.
        alpha: (h, w) uint8, or None for a picture without.
        profile: its ICC colour profile, which `pixels` are in.
        exif, xmp: its metadata without orientation, previews and maker notes.
        notes: what was changed in reading it, or left out.
    """

    name: str
    pixels: Pixels
    alpha: npt.NDArray[np.uint8] | None = None
    profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def seen(self) -> Pixels:
        """(h, w, 1 or 3) on white where it is transparent."""
        return self.on_white(self.pixels)

    def on_white(self, pixels: Pixels) -> Pixels:
        """`pixels` like its own, as they are seen with its alpha."""
        if self.alpha is None or self.alpha.min() == 255:
            return pixels
        share = self.alpha[..., None].astype(np.uint16)
        mixed = pixels.astype(np.uint16) * share + 255 * (255 - share)
        return ((mixed + 127) // 255).astype(np.uint8)

    def picture(self, pixels: Pixels) -> Image.Image:
        """`pixels` like its own as a Pillow image, with its alpha."""
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        if self.alpha is not None:
            picture.putalpha(Image.fromarray(self.alpha))
        return picture


def read_photo(path: Path) -> Photo:
    """The photo at `path`.

    Raises:
        PriemoError: it cannot be read, or has too many pixels or too few, or 32 bits a channel.
    """
    with told(path, "cannot be read as a picture"), open_picture(path) as file:
        return from_picture(file, str(path))


def from_picture(picture: Image.Image, name: str = "the picture") -> Photo:
    """A Pillow image as a photo; PriemoError as for `read_photo`."""
    notes = _left_out(picture)
    is_deep = ";16" in str(getattr(picture, "tile", "")) or picture.mode.startswith("I;16")
    picture.load()
    ImageOps.exif_transpose(picture, in_place=True)
    if min(picture.size) < SMALLEST:
        raise PriemoError(
            f"{name} is {picture.width}x{picture.height}; a side must have {SMALLEST} or more"
        )
    if is_deep:
        notes.append("it has 16 bits a channel and was reduced to 8")
    exif, xmp = _exif(picture), picture.info.get("xmp")
    profile = picture.info.get("icc_profile") or None
    if picture.mode in CONVERTED:
        notes.append(
            f"it is {picture.mode} and was converted to sRGB"
            + ("" if profile else ", without a profile that says how")
        )
        picture, profile = _srgb(picture, profile), None
    colour, alpha = _bands(picture, name)
    pixels = np.array(colour)
    return Photo(
        name=name,
        pixels=pixels[..., None] if pixels.ndim == 2 else pixels,
        alpha=alpha,
        profile=profile,
        exif=exif,
        xmp=xmp if isinstance(xmp, bytes) and b"humbnail" not in xmp else None,
        notes=tuple(notes),
    )


def from_array(array: object, name: str = "the array") -> Photo:
    """An array (h, w), (h, w, 1) or (h, w, 3) of uint8 as a photo; PriemoError otherwise."""
    pixels = np.asarray(array)
    if (
        pixels.dtype != np.uint8
        or pixels.ndim not in (2, 3)
        or pixels.shape[2:] not in ((), (1,), (3,))
    ):
        raise PriemoError(
            f"{name} is {pixels.dtype} of shape {pixels.shape}; a photo is uint8, "
            "(height, width) or (height, width, 3)"
        )
    if min(pixels.shape[:2]) < SMALLEST:
        raise PriemoError(f"{name} has shape {pixels.shape}; a side must have {SMALLEST} or more")
    return Photo(name, np.array(pixels.reshape(*pixels.shape[:2], -1)))


def _left_out(picture: Image.Image) -> list[str]:
    """Notes on further frames."""
    try:
        frames = getattr(picture, "n_frames", 1) if getattr(picture, "is_animated", False) else 1
    except Exception:  # a damaged frame beyond the first
        frames = 2
    return [f"it has {frames} frames: the first was protected, the others left out"] * (frames > 1)


def _exif(picture: Image.Image) -> bytes | None:
    """Without orientation (the pixels are upright), thumbnail and maker notes; None if damaged."""
    try:
        exif = picture.getexif()
        if not exif:
            return None
        exif.pop(ExifTags.Base.Orientation, None)
        if ExifTags.IFD.Exif in exif:
            exif.get_ifd(ExifTags.IFD.Exif).pop(MAKER_NOTE, None)
        return exif.tobytes()
    except Exception:  # of damaged ones, Pillow raises whatever their bytes bring about
        return None


def _srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """As sRGB, by its profile where that can be used."""
    if profile:
        try:
            found = ImageCms.profileToProfile(
                picture, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except (ImageCms.PyCMSError, OSError, ValueError):
            return picture.convert("RGB")
        assert found is not None
        return found
    return picture.convert("RGB")


def _bands(picture: Image.Image, name: str) -> tuple[Image.Image, npt.NDArray[np.uint8] | None]:
    """As "L" or "RGB", and its alpha."""
    if picture.mode.startswith("I;16"):
        levels = np.asarray(picture).astype(np.uint32)
        return Image.fromarray(((levels + 128) // 257).astype(np.uint8)), None
    if picture.mode in ("I", "F"):
        raise PriemoError(
            f"{name} has 32 bits a channel (mode {picture.mode}); save it as 8-bit or 16-bit"
        )
    if picture.mode == "La":
        picture = picture.convert("LA")
    is_grey = picture.mode in ("1", "L", "LA")
    if picture.mode not in ("LA", "PA", "RGBA", "RGBa") and "transparency" not in picture.info:
        return picture.convert("L" if is_grey else "RGB"), None
    *_, alpha = (both := picture.convert("RGBA")).split()
    colour = both.convert("RGB")
    return colour.getchannel(0) if is_grey else colour, np.array(alpha)
