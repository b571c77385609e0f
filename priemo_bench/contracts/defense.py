"""What a defense is: a victim's own preprocessing of a published image.

A defense maps published images, uint8 (n, 1 or 3, h, w), to the victim's input: floats in [0, 1] of
the same shape, deterministic, each image independently of the others. It is found by an entry
point of group `priemo_bench.defenses`.
"""

from __future__ import annotations

from typing import Protocol

from priemo_bench.contracts.image import ByteImages, FloatImages


class Defense(Protocol):
    """What an entry point of group `priemo_bench.defenses` points at."""

    def __call__(self, x: ByteImages, /) -> FloatImages:
        """(n, 1 or 3, h, w) uint8 to float32 in [0, 1] of the same shape; `x` is not modified."""
        ...
