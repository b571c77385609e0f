"""JPEG, WebP and chains against Pillow, image by image."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from priemo_bench import defenses as d
from priemo_bench.errors import PriemoError


def picture(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image.transpose(1, 2, 0).squeeze())


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture).reshape(*picture.size[::-1], -1).transpose(2, 0, 1)


def coded(picture: Image.Image, form: str, quality: int) -> Image.Image:
    file = BytesIO()
    picture.save(file, form, quality=quality)
    return Image.open(file).convert(picture.mode)


def levels(x: np.ndarray) -> np.ndarray:
    return np.rint(x * 255).astype(np.uint8)


@pytest.mark.parametrize("quality", [95, 90, 75, 50, 30])
def test_jpeg_equals_pillow(quality: int, x: np.ndarray) -> None:
    for image, out in zip(x, levels(d.Jpeg(quality)(x)), strict=True):
        assert np.array_equal(out, pixels(coded(picture(image), "jpeg", quality)))


def test_jpeg_of_a_flat_image_changes_nothing() -> None:
    """No truncation on the way in or out: each grey level a multiple of the DC step survives."""
    level = np.full((1, 1, 16, 16), 128, np.uint8)
    assert np.array_equal(levels(d.jpeg75(level)), level)


@pytest.mark.parametrize("quality", [90, 75, 50])
def test_webp_equals_pillow(quality: int, x: np.ndarray) -> None:
    for image, out in zip(x, levels(d.WebP(quality)(x)), strict=True):
        assert np.array_equal(out, pixels(coded(picture(image), "webp", quality)))


def test_saved_twice(x: np.ndarray) -> None:
    for image, out in zip(x, levels(d.jpeg90_75(x)), strict=True):
        twice = coded(coded(picture(image), "jpeg", 90), "jpeg", 75)
        assert np.array_equal(out, pixels(twice))


@pytest.mark.parametrize(
    ("chain", "side", "form", "quality"),
    [(d.upload, 84, "jpeg", 75), (d.screenshot, 140, "webp", 90)],
)
def test_chains_of_a_site_and_of_a_screenshot(
    chain: d.Chain, side: int, form: str, quality: int, rendered: np.ndarray
) -> None:
    for image, out in zip(rendered, levels(chain(rendered)), strict=True):
        sized = picture(image).resize((side, side), Image.Resampling.LANCZOS)
        back = coded(sized, form, quality).resize((112, 112), Image.Resampling.LANCZOS)
        assert np.array_equal(out, pixels(back))


@pytest.mark.parametrize(
    "make",
    [
        lambda: d.Jpeg(0), lambda: d.Jpeg(96), lambda: d.WebP(101), lambda: d.Chain(()),
        lambda: d.Chain((d.Jpeg(75),), "nearest"), lambda: d.Scale(0), lambda: d.Scale(2, "box"),
    ],
)  # fmt: skip
def test_settings_outside_their_range_are_named(make: object) -> None:
    with pytest.raises(PriemoError, match="must be"):
        make()  # type: ignore[operator]
