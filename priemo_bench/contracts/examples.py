"""Some published images of a cell beside their originals, to be looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from priemo_bench.contracts.image import ByteImages
from priemo_bench.contracts.outcomes import IntArray


@dataclass(frozen=True)
class Examples:
    """Images of one cell, one of each emotion, of made-up persons only.

    Attributes:
        cell: its ROW columns. seed: of the cell.
        images: their names in the data set. labels: (k,) indices into EMOTIONS, in rising order.
        originals, published: (k, c, h, w) uint8.
    """

    cell: dict[str, str]
    seed: int
    images: tuple[str, ...]
    labels: IntArray
    originals: ByteImages
    published: ByteImages

    def change(self, times: float) -> ByteImages:
        """(k, c, h, w) the change of each pixel, `times` amplified, around the middle grey."""
        moved = self.published.astype(np.float32) - self.originals
        return (127.5 + times * moved).clip(0, 255).astype(np.uint8)
