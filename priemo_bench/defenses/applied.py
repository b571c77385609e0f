"""Filters applied image by image: through Pillow, through floats, and with a draw of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from priemo_bench.contracts.image import ByteImages, FloatImages, check_bytes

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float64]
"""One image in [0, 1], (h, w) where it is grey, else (h, w, 3), as scikit-image takes it."""


def each_picture(x: ByteImages, change: Callable[[Image.Image], Image.Image]) -> ByteImages:
    """Every image through Pillow.

    Args:
        x: (n, 1 or 3, h, w) uint8.
        change: takes a picture of mode L or RGB and gives one of the same mode; all of one size.

    Returns:
        (n, 1 or 3, new h, new w) uint8.
    """
    return np.stack([_pixels(change(_picture(image))) for image in check_bytes(x)])


def _picture(image: npt.NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0).copy())


def _pixels(picture: Image.Image) -> npt.NDArray[np.uint8]:
    pixels = np.asarray(picture)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def each_image(x: ByteImages, change: Callable[[Floats], npt.NDArray[Any]]) -> FloatImages:
    """Every image through a function of floats; what it gives is clipped to [0, 1].

    Args:
        x: (n, 1 or 3, h, w) uint8.
        change: takes (h, w) or (h, w, 3) float64 in [0, 1] and gives the same shape.

    Returns:
        (n, 1 or 3, h, w) float32 in [0, 1].
    """
    given = check_bytes(x)
    out = np.empty(given.shape, np.float32)
    for image, place in zip(given, out, strict=True):
        pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
        changed = np.clip(change(pixels / 255), 0, 1)
        place[:] = changed[None] if changed.ndim == 2 else changed.transpose(2, 0, 1)
    return out


class Random:
    """A filter with a draw: the same for one image and one seed, whatever its batch."""

    seed: int

    def draw(self, k: int) -> Self:
        """The same filter with seed `k`."""
        return replace(self, seed=k)  # type: ignore[type-var]

    def generator(self, image: npt.NDArray[np.uint8]) -> np.random.Generator:
        """Of the seed and an image's bytes, (channels, h, w)."""
        digest = sha256(f"{self.seed} {image.shape} ".encode() + image.tobytes()).digest()
        return np.random.default_rng(int.from_bytes(digest[:16], "big"))

    def generators(self, x: ByteImages | torch.Tensor) -> list[np.random.Generator]:
        """One for each image; floats count as the bytes that they round to."""
        if not isinstance(x, np.ndarray):
            levels = (x.detach().clamp(0, 1) * 255).round()
            x = levels.cpu().numpy().astype(np.uint8)
        return [self.generator(image) for image in x]
