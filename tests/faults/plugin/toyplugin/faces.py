"""A data set of small grey faces; TOY_FACES says how many are in each split."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from priemo_bench.contracts.dataset import FaceSet, Split
from priemo_bench.testing import toy_faces


class ToyFaces:
    """32x32 grey, each person shown twice."""

    name = "toys"

    def __init__(self, data: Path | None = None, size: int | None = None) -> None:
        self.size = size or 32

    def split(self, split: Split) -> FaceSet:
        n = int(os.environ.get("TOY_FACES", 28))
        x, y = toy_faces(n, size=self.size, seed=1 if split == "test" else 2)
        ids = np.array([f"{split}{i:06}" for i in range(n)])
        persons = np.array([f"{split}-person{i // 2:06}" for i in range(n)])
        return FaceSet(self.name, split, np.rint(x * 255).astype(np.uint8), y, ids, persons)
