"""PSNR and linf of published images with their originals."""

from __future__ import annotations

import numpy as np

from priemo_bench.contracts.image import ByteImages, check_bytes
from priemo_bench.contracts.metric import MetricValues
from priemo_bench.errors import PriemoError


def check_pair(x: ByteImages, y: ByteImages) -> tuple[ByteImages, ByteImages]:
    """Originals and published images of one shape; PriemoError otherwise."""
    x, y = check_bytes(x, "x"), check_bytes(y, "y")
    if x.shape != y.shape:
        raise PriemoError(f"x has shape {x.shape} and y {y.shape}; they must be the same")
    return x, y


def psnr(x: ByteImages, y: ByteImages) -> MetricValues:
    """(n,) peak signal-to-noise ratio in dB at peak 255; infinite where nothing changed."""
    x, y = check_pair(x, y)
    squares: MetricValues = ((x.astype(np.float64) - y) ** 2).mean((1, 2, 3))
    with np.errstate(divide="ignore"):
        decibels: MetricValues = 10 * np.log10(255**2 / squares)
    return decibels


def linf(x: ByteImages, y: ByteImages) -> MetricValues:
    """(n,) largest change of a pixel, in [0, 1] (1/255 is one grey level)."""
    x, y = check_pair(x, y)
    largest: MetricValues = np.abs(x.astype(np.int16) - y).max((1, 2, 3)) / 255
    return largest
