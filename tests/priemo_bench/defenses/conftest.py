"""Images that the defenses are tried on."""

from __future__ import annotations

import numpy as np
import pytest

from priemo_bench import registry


@pytest.fixture(params=[1, 3], ids=["grey", "rgb"])
def x(request: pytest.FixtureRequest) -> np.ndarray:
    """(5, 1 or 3, 48, 48) uint8: noise and ramps over all 256 levels."""
    channels = request.param
    rng = np.random.default_rng(channels)
    ramp = np.arange(48 * 48).reshape(48, 48) % 256
    noise = rng.integers(0, 256, (5, channels, 48, 48))
    return np.where(rng.random((5, 1, 1, 1)) < 0.5, noise, ramp).astype(np.uint8)


@pytest.fixture(scope="session")
def rendered() -> np.ndarray:
    """(4, 3, 112, 112) uint8: rendered faces."""
    images: np.ndarray = registry.get("datasets", "rendered")().split("fit").images[::60][:4]
    return images


@pytest.fixture(params=["grey", "rgb", "odd"])
def faces(request: pytest.FixtureRequest, rendered: np.ndarray) -> np.ndarray:
    """(4, 1 or 3, h, w) uint8 faces; odd: no side is a multiple of another, or of 8."""
    if request.param == "grey":
        return rendered.mean(1, keepdims=True).astype(np.uint8)
    return rendered[:, :, 3:108, 5:98].copy() if request.param == "odd" else rendered
