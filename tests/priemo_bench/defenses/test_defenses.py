"""Defenses against Pillow, plain numpy and scikit-image, image by image."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from priemo_bench import defenses as d
from priemo_bench.contracts.defense import Defense
from priemo_bench.errors import PriemoError

ALL = (d.none, d.jpeg75, d.jpeg50, d.median3, d.bits4, d.blur)


def _faces(channels: int, side: int = 48, n: int = 5) -> np.ndarray:
    """Smooth images over the whole range, with all 256 grey levels among them."""
    rng = np.random.default_rng(channels)
    ramp = np.arange(side * side).reshape(side, side) % 256
    noise = rng.integers(0, 256, (n, channels, side, side))
    return np.where(rng.random((n, 1, 1, 1)) < 0.5, noise, ramp).astype(np.uint8)


@pytest.fixture(params=[1, 3], ids=["grey", "rgb"])
def x(request: pytest.FixtureRequest) -> np.ndarray:
    return _faces(request.param)


def _uint8(x: np.ndarray) -> np.ndarray:
    return np.rint(x * 255).astype(np.uint8)


@pytest.mark.parametrize("defense", ALL, ids=str)
def test_contract(defense: Defense, x: np.ndarray) -> None:
    x.setflags(write=False)
    out = defense(x)
    assert out.shape == x.shape
    assert out.dtype == np.float32
    assert 0 <= out.min() <= out.max() <= 1
    assert np.array_equal(out, defense(x))
    one_by_one = np.concatenate([defense(image[None]) for image in x])
    assert np.array_equal(out, one_by_one)


@pytest.mark.parametrize("defense", ALL, ids=str)
def test_floats_are_refused(defense: Defense) -> None:
    with pytest.raises(PriemoError, match="uint8"):
        defense(np.zeros((1, 1, 8, 8), np.float32))  # type: ignore[arg-type]


def test_none_is_the_published_image(x: np.ndarray) -> None:
    assert np.array_equal(_uint8(d.none(x)), x)


@pytest.mark.parametrize("defense", [d.jpeg75, d.jpeg50], ids=str)
def test_jpeg_equals_pillow(defense: d.Jpeg, x: np.ndarray) -> None:
    for image, out in zip(x, _uint8(defense(x)), strict=True):
        file = BytesIO()
        Image.fromarray(image.transpose(1, 2, 0).squeeze()).save(
            file, "jpeg", quality=defense.quality
        )
        expected = np.asarray(Image.open(file)).reshape(48, 48, -1).transpose(2, 0, 1)
        assert np.array_equal(out, expected)


def test_jpeg_of_a_flat_image_changes_nothing() -> None:
    """No truncation on the way in or out: each grey level a multiple of the DC step survives."""
    level = np.full((1, 1, 16, 16), 128, np.uint8)
    assert np.array_equal(_uint8(d.jpeg75(level)), level)


def test_median_equals_sorting_each_window(x: np.ndarray) -> None:
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    expected = np.sort(windows.reshape(*x.shape, 9), axis=-1)[..., 4]
    assert np.array_equal(_uint8(d.median3(x)), expected)


def test_bits_keep_sixteen_evenly_spaced_levels(x: np.ndarray) -> None:
    out = d.bits4(x)
    levels = np.arange(16) / 15
    assert np.isin(_uint8(out), _uint8(levels)).all()
    nearest = np.abs(x[..., None] / 255 - levels).argmin(-1)
    assert np.allclose(out, levels[nearest], atol=1e-6)


def test_blur_equals_scikit_image(x: np.ndarray) -> None:
    gaussian = pytest.importorskip("skimage.filters").gaussian
    for image, out in zip(x, d.blur(x), strict=True):
        expected = gaussian(image / 255, sigma=0.8, channel_axis=0, mode="reflect")
        assert np.allclose(out, expected, atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [lambda: d.Jpeg(0), lambda: d.Median(1), lambda: d.Bits(8), lambda: d.Blur(0)],
)
def test_settings_outside_their_range_are_named(make: object) -> None:
    with pytest.raises(PriemoError, match="must be"):
        make()  # type: ignore[operator]
