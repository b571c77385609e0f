"""Transforms against closed forms and scikit-image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from skimage.measure import block_reduce

from priemo_bench.attacks.occlusion import Occlusion
from priemo_bench.attacks.transform import (
    JPEG,
    BrightnessContrast,
    DownUp,
    GaussianBlur,
    Pixelation,
)
from priemo_bench.errors import PriemoError


@pytest.mark.parametrize("attack", [GaussianBlur(), Pixelation(), DownUp(), JPEG(quality=95)])
def test_a_flat_image_stays(attack: Any) -> None:
    x = np.full((2, 3, 33, 35), 100 / 255, np.float32)
    np.testing.assert_allclose(attack.generate(x), x, atol=1e-6)


def test_blur_of_a_point_is_a_gaussian() -> None:
    x = np.zeros((1, 1, 31, 31), np.float32)
    x[0, 0, 15, 15] = 1
    bell = np.exp(-((np.arange(31) - 15) ** 2) / (2 * 1.5**2))
    bell /= bell.sum()
    np.testing.assert_allclose(
        GaussianBlur(sigma=1.5).generate(x)[0, 0], np.outer(bell, bell), atol=1e-5
    )


def test_pixelation_is_the_mean_of_blocks(x: np.ndarray) -> None:
    means = block_reduce(x, (1, 1, 4, 4), np.mean)
    np.testing.assert_allclose(
        Pixelation(block=4).generate(x), means.repeat(4, 2).repeat(4, 3), atol=1e-6
    )


def test_pixelation_keeps_the_mean_of_a_ragged_edge() -> None:
    x = np.arange(5, dtype=np.float32).reshape(1, 1, 1, 5) / 4
    expected = np.array([0.125, 0.125, 0.625, 0.625, 1.0], np.float32)
    np.testing.assert_allclose(Pixelation(block=2).generate(x)[0, 0, 0], expected)


def test_down_up_removes_the_finest_pattern() -> None:
    x = (np.indices((16, 16)).sum(0) % 2).astype(np.float32)[None, None]
    inner = DownUp(factor=2).generate(x)[..., 4:-4, 4:-4]
    np.testing.assert_allclose(inner, 0.5, atol=1e-6)


def test_veil_of_white(x: np.ndarray) -> None:
    protected = BrightnessContrast(strength=0.3).generate(x)
    np.testing.assert_allclose(protected, 0.7 * x + 0.3, atol=1e-6)


def test_jpeg_keeps_grey_grey_and_gets_worse(x: np.ndarray) -> None:
    errors = [((JPEG(quality=q).generate(x) - x) ** 2).mean() for q in (95, 50, 5)]
    assert errors[0] < errors[1] < errors[2]
    np.testing.assert_allclose(
        np.rint(JPEG().generate(x) * 255), JPEG().generate(x) * 255, atol=1e-4
    )


def test_occlusion_covers_its_boxes_and_nothing_else(x: np.ndarray) -> None:
    boxes = ((0.25, 0.25, 0.5, 0.75),)
    protected = Occlusion(boxes=boxes, value=1.0).generate(x)
    covered = np.zeros(x.shape[2:], bool)
    covered[8:16, 8:24] = True
    assert (protected[..., covered] == 1).all()
    np.testing.assert_array_equal(protected[..., ~covered], x[..., ~covered])


def test_occlusion_grows_about_the_centre_and_is_cut_at_the_edge(x: np.ndarray) -> None:
    boxes = ((0.25, 0.25, 0.75, 0.75),)
    white = np.ones_like(x)
    assert (Occlusion(size=0.5, boxes=boxes).generate(white)[0, 0] == 0).sum() == 8 * 8
    assert (Occlusion(size=9.0, boxes=boxes).generate(white) == 0).all()


@pytest.mark.parametrize(
    ("make", "params"),
    [(GaussianBlur, {"sigma": 0}), (Pixelation, {"block": 1}), (Pixelation, {"block": 2.5}),
     (JPEG, {"quality": 0}), (JPEG, {"quality": 101}), (DownUp, {"factor": 1}),
     (BrightnessContrast, {"strength": 1}), (Occlusion, {"size": 0}), (Occlusion, {"value": 2}),
     (Occlusion, {"boxes": ((0.5, 0, 0.2, 1),)})],
)  # fmt: skip
def test_bad_parameters_are_named(make: Any, params: dict[str, Any]) -> None:
    name = next(iter(params)).removesuffix("es")
    with pytest.raises(PriemoError, match=name):
        make(**params)
