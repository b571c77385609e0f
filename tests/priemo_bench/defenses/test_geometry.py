"""Resizing, cropping and turning against Pillow, skimage and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from skimage.transform import downscale_local_mean, rotate

from priemo_bench import defenses as d
from priemo_bench import registry
from priemo_bench.errors import PriemoError

METHODS = {
    "area": (Image.Resampling.BOX, Image.Resampling.BILINEAR),
    "bicubic": (Image.Resampling.BICUBIC, Image.Resampling.BICUBIC),
    "lanczos": (Image.Resampling.LANCZOS, Image.Resampling.LANCZOS),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("percent", "side"), [(75, 36), (50, 24), (25, 12)])
def test_resizing_equals_pillow(method: str, percent: int, side: int, x: np.ndarray) -> None:
    down, up = METHODS[method]
    found = registry.get("defenses", f"x{percent}-{method}")(x)
    for image, out in zip(x, np.rint(found * 255), strict=True):
        small = Image.fromarray(image.transpose(1, 2, 0).squeeze()).resize((side, side), down)
        back = np.asarray(small.resize((48, 48), up)).reshape(48, 48, -1).transpose(2, 0, 1)
        assert np.array_equal(out, back)


def test_by_area_each_new_pixel_is_the_mean_of_four(x: np.ndarray) -> None:
    small = d.Scale(0.5, "area")(x)
    assert small.shape[2:] == (24, 24)
    for image, out in zip(x, small, strict=True):
        mean = downscale_local_mean(image / 255, (1, 2, 2))
        assert np.abs(out - mean).max() <= 1.01 / 255  # rows and columns are rounded one by one


def test_a_crop_is_a_window_of_the_image_enlarged_by_pillow(rendered: np.ndarray) -> None:
    """Of all windows just one gives it, not the same for all images and seeds."""
    found = set()
    for seed in (0, 1):
        for image, out in zip(rendered, d.Crop(0.95, seed)(rendered), strict=True):
            own = [
                (top, left)
                for top in range(7)
                for left in range(7)
                if np.array_equal(np.rint(out * 255), _window(image, top, left, 106))
            ]
            assert len(own) == 1
            found.add(own[0])
    assert len(found) > 3


def _window(image: np.ndarray, top: int, left: int, side: int) -> np.ndarray:
    kept = image[:, top : top + side, left : left + side].transpose(1, 2, 0)
    enlarged = Image.fromarray(kept.copy()).resize((112, 112), Image.Resampling.BICUBIC)
    return np.asarray(enlarged).transpose(2, 0, 1)


def test_a_turn_is_scikit_image_s_to_one_side_or_the_other(rendered: np.ndarray) -> None:
    sides = set()
    for seed in range(3):
        for image, out in zip(rendered, d.Turn(5, seed)(rendered), strict=True):
            away = {}
            for angle in (5, -5):
                turned = rotate(image.transpose(1, 2, 0) / 255, angle, order=1, mode="symmetric")
                away[angle] = np.abs(turned.transpose(2, 0, 1) - out).max()
            side = min(away, key=away.get)  # type: ignore[arg-type]
            assert away[side] < 1e-4
            sides.add(side)
    assert sides == {5, -5}


@pytest.mark.parametrize(
    "make",
    [
        lambda: d.Resize(1), lambda: d.Resize(0.5, "box"), lambda: d.Resize(0.5, "area", "x"),
        lambda: d.Crop(1), lambda: d.Turn(0),
    ],
)  # fmt: skip
def test_settings_outside_their_range_are_named(make: object) -> None:
    with pytest.raises(PriemoError, match="must be"):
        make()  # type: ignore[operator]
