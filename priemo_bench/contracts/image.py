"""The image contract: NCHW, 1 or 3 channels, float32 in [0, 1] in memory, uint8 published."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from priemo_bench.errors import PriemoError

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Emotion order of every label and every logit in the project."""

SLACK = 1e-6
"""Values this far outside [0, 1] are rounding, and are clamped."""

FLOOR_SLACK = 1e-7
"""A floor is met when SSIM, or PSNR in dB, is no further below it than this (float noise)."""

FloatImages = npt.NDArray[np.float32]
ByteImages = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


def _check_layout(x: object, name: str) -> npt.NDArray[np.generic]:
    """`x` as an array that torch takes: a copy of a read-only or a mirrored one."""
    plain: Any = x.detach().cpu() if hasattr(x, "detach") else x  # a tensor with a gradient
    try:
        x = np.asarray(plain)
    except (TypeError, ValueError) as error:  # of ragged lists, and of what is no array at all
        raise PriemoError(f"{name} is a {type(plain).__name__} that is no array") from error
    if x.ndim != 4 or x.shape[1] not in (1, 3):
        raise PriemoError(f"{name} has shape {x.shape}; it must be (n, 1 or 3, height, width)")
    if len(x) == 0:
        raise PriemoError(f"{name} is empty; it must hold at least one image")
    return x if x.flags.writeable and min(x.strides) >= 0 else x.copy()


def check_images(x: object, name: str = "x") -> FloatImages:
    """`x` as writable float32 NCHW in [0, 1]: a new array unless nothing had to change.

    Args:
        x: (n, 1 or 3, h, w) floats in [0, 1], give or take 1e-6.
        name: what to call the argument in the error.

    Raises:
        PriemoError: wrong rank or channels, empty, an integer type, NaN, or values outside.
    """
    x = _check_layout(x, name)
    if not np.issubdtype(x.dtype, np.floating):
        raise PriemoError(
            f"{name} is {x.dtype}; it must be floats in [0, 1] (divide 8-bit pixels by 255)"
        )
    low, high = float(x.min()), float(x.max())
    if not (low >= -SLACK and high <= 1 + SLACK):  # NaN fails both
        raise PriemoError(f"{name} has values from {low:g} to {high:g}; they must be in [0, 1]")
    floats: FloatImages = x.astype(np.float32, copy=False)
    return floats if low >= 0 and high <= 1 else floats.clip(0, 1)


def check_bytes(x: object, name: str = "x") -> ByteImages:
    """`x` as published images, uint8 NCHW; PriemoError names the argument otherwise."""
    x = _check_layout(x, name)
    if x.dtype != np.uint8:
        raise PriemoError(f"{name} is {x.dtype}; published images are uint8")
    return x.astype(np.uint8, copy=False)


def publish(x: object, name: str = "x") -> ByteImages:
    """The 8-bit image that leaves the owner's hands: floats in [0, 1], rounded (not truncated)."""
    return np.rint(check_images(x, name) * 255).astype(np.uint8)


def to_float(x: object, name: str = "x") -> FloatImages:
    """Published uint8 images as float32 in [0, 1]."""
    return check_bytes(x, name).astype(np.float32) / np.float32(255)
