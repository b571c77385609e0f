"""What a photo file holds is kept, or its loss is told."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from priemo_bench.data import pictures
from priemo_bench.errors import PriemoError
from priemo_bench.photos.photo import from_array, read_photo
from priemo_bench.photos.png import png

RNG = np.random.default_rng(0)


def pixels(*shape: int) -> Any:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def display_p3() -> bytes:
    """An sRGB profile with the primaries of Display P3."""
    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", icc[128:132])[0]
    entry = {bytes(icc[132 + 12 * i : 136 + 12 * i]): 136 + 12 * i for i in range(count)}
    for tag, xyz in (
        (b"rXYZ", (0.51512, 0.24120, -0.00105)),
        (b"gXYZ", (0.29198, 0.69225, 0.04189)),
        (b"bXYZ", (0.15710, 0.06657, 0.78407)),
    ):
        at = struct.unpack(">I", icc[entry[tag] : entry[tag] + 4])[0]
        icc[at + 8 : at + 20] = struct.pack(">iii", *(round(a * 65536) for a in xyz))
    return bytes(icc)


def saved(path: Path, picture: Image.Image, **options: Any) -> Path:
    picture.save(path, **options)
    return path


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1"])
def test_pixels_are_those_of_the_file(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(pixels(20, 30, 4 if "A" in mode else 3)).convert(mode)
    photo = read_photo(saved(tmp_path / "a.png", picture))
    grey = mode in ("L", "LA", "1")
    colour = picture.convert("RGBA").convert("L" if grey else "RGB")
    np.testing.assert_array_equal(photo.pixels.squeeze(), np.array(colour))
    assert photo.pixels.shape == (20, 30, 1 if grey else 3)
    if mode in ("RGBA", "LA"):
        np.testing.assert_array_equal(photo.alpha, np.array(picture.getchannel("A")))
        white = Image.new("RGBA", picture.size, "white")
        seen = Image.alpha_composite(white, picture.convert("RGBA")).convert(colour.mode)
        assert np.abs(photo.seen.squeeze().astype(int) - np.array(seen)).max() <= 1
    else:
        assert photo.alpha is None
    assert photo.notes == ()


def test_profiles_are_kept(tmp_path: Path) -> None:
    for profile in (
        display_p3(),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    ):
        for name in ("a.png", "a.jpg"):
            path = saved(tmp_path / name, Image.fromarray(pixels(20, 20, 3)), icc_profile=profile)
            assert read_photo(path).profile == profile


def test_cmyk_is_converted_and_told(tmp_path: Path) -> None:
    photo = read_photo(saved(tmp_path / "a.jpg", Image.new("CMYK", (20, 20), (0, 255, 255, 0))))
    assert photo.pixels[5, 5].tolist() == pytest.approx([255, 0, 0], abs=2)
    assert photo.profile is None
    assert photo.notes == ("it is CMYK and was converted to sRGB, without a profile that says how",)


def test_sideways_photos_are_turned(tmp_path: Path) -> None:
    x = pixels(20, 30, 3)
    turned = {1: x, 2: x[:, ::-1], 3: x[::-1, ::-1], 4: x[::-1], 5: x.transpose(1, 0, 2)}
    turned |= {6: np.rot90(x, -1), 8: np.rot90(x), 7: np.rot90(x, 2).transpose(1, 0, 2)}
    for orientation, upright in turned.items():
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        photo = read_photo(saved(tmp_path / "a.png", Image.fromarray(x), exif=exif))
        np.testing.assert_array_equal(photo.pixels, upright)
        assert ExifTags.Base.Orientation not in read_exif(photo.exif)


def read_exif(data: bytes | None) -> Image.Exif:
    exif = Image.Exif()
    exif.load(data or b"")
    return exif


def test_metadata_without_previews(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] = b"preview" * 9
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"hello"
    path = saved(tmp_path / "a.jpg", Image.fromarray(pixels(20, 20, 3)), exif=exif)
    assert b"preview" in path.read_bytes()
    kept = read_photo(path).exif
    assert kept is not None
    assert b"preview" not in kept
    assert read_exif(kept)[ExifTags.Base.Make] == "Camera"
    assert b"hello" in kept


def test_16_bits_are_reduced_and_told(tmp_path: Path) -> None:
    levels = RNG.integers(0, 65536, (20, 20), dtype=np.uint16)
    photo = read_photo(saved(tmp_path / "a.png", Image.fromarray(levels)))
    assert np.abs(photo.pixels[..., 0] - levels / 257).max() <= 0.5
    assert photo.notes == ("it has 16 bits a channel and was reduced to 8",)
    rows = RNG.integers(0, 256, (20, 1 + 20 * 6), dtype=np.uint8)
    rows[:, 0] = 0  # no filter
    head = struct.pack(">2I5B", 20, 20, 16, 2, 0, 0, 0)
    path = chunks(tmp_path / "b.png", (b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes())))
    photo = read_photo(path)
    high = rows[:, 1:].reshape(20, 20, 3, 2)[..., 0]
    assert np.abs(photo.pixels.astype(int) - high).max() <= 1
    assert photo.notes == ("it has 16 bits a channel and was reduced to 8",)


def chunks(path: Path, *parts: tuple[bytes, bytes]) -> Path:
    """A PNG file of these chunks."""
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in (*parts, (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + kind + body
        data += struct.pack(">I", zlib.crc32(kind + body))
    path.write_bytes(data)
    return path


def test_animated_pictures_are_told(tmp_path: Path) -> None:
    frames = [Image.fromarray(pixels(20, 20, 3)) for _ in range(3)]
    for name in ("a.gif", "a.webp", "a.png", "a.tiff"):
        path = saved(tmp_path / name, frames[0], save_all=True, append_images=frames[1:])
        (note,) = read_photo(path).notes
        assert note == "it has 3 frames: the first was protected, the others left out"


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bits_are_refused(tmp_path: Path, mode: str) -> None:
    path = saved(tmp_path / "a.tiff", Image.new(mode, (20, 20)))
    with pytest.raises(PriemoError, match=r"a\.tiff has 32 bits a channel"):
        read_photo(path)


def test_bombs_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    for side in (8100, 13000, 14000):  # beyond the own limit, Pillow's warning and its error
        head = struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0)
        chunks(tmp_path / "bomb.png", (b"IHDR", head), (b"IDAT", b""))
        said = f"has {side**2 / 1e6:.0f} megapixels; make it smaller, 64 are"
        with pytest.raises(PriemoError, match=said):  # and warnings are errors here
            read_photo(tmp_path / "bomb.png")


def test_no_program_is_run_and_no_pipe_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n")
    with pytest.raises(PriemoError, match="no known type"):
        read_photo(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(PriemoError, match=r"pipe\.png is no file"):
        read_photo(tmp_path / "pipe.png")


def test_heif_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    monkeypatch.setattr(pictures, "can_read_heif", lambda: False)
    with pytest.raises(PriemoError, match=r"a\.heic is a HEIF picture.*pip install pillow-heif"):
        read_photo(tmp_path / "a.heic")
    assert ".heic" not in pictures.suffixes()


def test_arrays_that_are_no_photos() -> None:
    assert from_array(pixels(20, 30)).pixels.shape == (20, 30, 1)
    for wrong in (pixels(20, 30, 4), pixels(3, 20, 20), np.zeros((20, 20)), pixels(5, 20), "a"):
        with pytest.raises(PriemoError, match="the array"):
            from_array(wrong)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_is_read_back_by_pillow(channels: int) -> None:
    x = pixels(17, 23, channels)
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"
    data = png(x, profile=b"icc" * 50, exif=exif.tobytes(), xmp=b"<x/>")
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        np.testing.assert_array_equal(np.array(picture).reshape(x.shape), x)
        assert picture.info["icc_profile"] == b"icc" * 50
        assert picture.getexif()[ExifTags.Base.Make] == "Camera"
        assert picture.info["xmp"] == b"<x/>"
