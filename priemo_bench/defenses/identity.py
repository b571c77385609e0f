"""No defense: the baseline."""

from __future__ import annotations

from dataclasses import dataclass

from priemo_bench.contracts.image import ByteImages, FloatImages, to_float


@dataclass(frozen=True)
class Nothing:
    """The victim predicts on the published image as it is."""

    def __call__(self, x: ByteImages, /) -> FloatImages:
        return to_float(x)
