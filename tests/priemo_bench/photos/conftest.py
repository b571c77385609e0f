"""Photos made of the embedded rendered faces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from priemo_bench import load_dataset

Pixels = npt.NDArray[np.uint8]


class Scenes:
    """Rendered faces pasted on a made-up background."""

    def __init__(self) -> None:
        self.faces = load_dataset("rendered").split("test").images.transpose(0, 2, 3, 1)

    def __call__(self, width: int, height: int, spots: Sequence[tuple[int, int, int]]) -> Pixels:
        """A photo with a face of so many pixels at each (left, top, side)."""
        coarse = np.random.default_rng(0).integers(60, 200, (height // 40 + 2, width // 40 + 2, 3))
        picture = Image.fromarray(coarse.astype(np.uint8)).resize((width, height), 3)
        for number, (left, top, side) in enumerate(spots):
            face = Image.fromarray(self.faces[37 * number + 3]).resize((side, side), 3)
            picture.paste(face, (left, top))
        return np.array(picture)


@pytest.fixture(scope="session")
def scene() -> Scenes:
    return Scenes()
