"""Controls change nothing, or without direction."""

from __future__ import annotations

import numpy as np
import pytest

from priemo_bench.attacks.control import Nothing, RandomNoise
from priemo_bench.errors import PriemoError


def test_nothing_changes_nothing(x: np.ndarray) -> None:
    np.testing.assert_array_equal(Nothing().generate(x), x)


def test_sign_noise_uses_the_whole_cap_without_direction() -> None:
    x = np.full((20, 1, 32, 32), 0.5, np.float32)
    change = RandomNoise(eps=0.1, random_state=0).generate(x) - x
    np.testing.assert_allclose(np.abs(change), 0.1, atol=1e-6)
    assert abs(change.mean()) < 4 * 0.1 / np.sqrt(change.size)


def test_uniform_noise_has_the_variance_of_a_uniform() -> None:
    x = np.full((20, 1, 32, 32), 0.5, np.float32)
    change = RandomNoise(eps=0.1, distribution="uniform", random_state=0).generate(x) - x
    assert np.abs(change).max() <= 0.1 + 1e-6
    assert change.var() == pytest.approx(0.1**2 / 3, rel=0.03)


def test_unknown_distribution() -> None:
    with pytest.raises(PriemoError, match="did you mean uniform"):
        RandomNoise(distribution="unifrom")  # type: ignore[arg-type]
