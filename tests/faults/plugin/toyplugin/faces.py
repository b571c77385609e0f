"""A data set of small grey faces; TOY_FACES says how many are in the test split."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from priemo_bench.contracts.dataset import FaceSet, Split
from priemo_bench.testing import toy_faces

MADE = 1000


class ToyFaces:
    """32x32 grey, each person shown twice; after the first thousand the pictures repeat."""

    name = "toys"

    def __init__(self, data: Path | None = None, size: int | None = None) -> None:
        self.size = size or 32

    def split(self, split: Split) -> FaceSet:
        n = int(os.environ.get("TOY_FACES", 28))
        n = min(n, MADE) if split == "fit" else n
        x, y = toy_faces(min(n, MADE), size=self.size, seed=1 if split == "test" else 2)
        images = np.resize(np.rint(x * 255).astype(np.uint8), (n, *x.shape[1:]))
        ids = np.array([f"{split}{i:06}" for i in range(n)])
        persons = np.array([f"{split}-person{i // 2:06}" for i in range(n)])
        return FaceSet(self.name, split, images, np.resize(y, n), ids, persons)
