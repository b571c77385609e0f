"""What a metric of image quality is."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from priemo_bench.contracts.image import ByteImages

MetricValues = npt.NDArray[np.float64]

MEASURES = ("ssim", "ssim_full", "psnr", "linf")
"""The metrics that every run has, by their entry points; a spec may name more."""


class Metric(Protocol):
    """What an entry point of group `priemo_bench.metrics` points at.

    One that needs weights also has `check()`, which raises PriemoError where they are not
    installed, and `install(file)`.
    """

    def __call__(self, x: ByteImages, y: ByteImages, /) -> MetricValues:
        """Originals `x` and published images `y`, (n, 1 or 3, h, w) uint8, to (n,) values."""
        ...
