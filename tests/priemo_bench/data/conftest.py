"""Made-up pictures, smooth random patterns: no picture of a person is in the tests."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

Patterns = Callable[..., np.ndarray]


@pytest.fixture(scope="session")
def patterns() -> Patterns:
    def draw(n: int, size: int = 48, seed: int = 0) -> np.ndarray:
        """(n, 1, size, size) uint8 from 12x12 noise, enlarged."""
        noise = np.random.default_rng(seed).integers(0, 256, (n, 12, 12), dtype=np.uint8)
        side = (size, size)
        large = [Image.fromarray(x).resize(side, Image.Resampling.BICUBIC) for x in noise]
        return np.stack([np.asarray(x) for x in large])[:, None]

    return draw
