"""Averaging: the mean difference, its error, Wiener's gain, and groups."""

from __future__ import annotations

import numpy as np
import pytest

from priemo_bench.adversaries.averaging import (
    estimates_of,
    expected_error,
    mean_difference,
    subtract,
    wiener,
)
from priemo_bench.errors import PriemoError

SHAPE = (1, 16, 16)


def noise_faces(n: int, seed: int, spread: float = 20.0) -> np.ndarray:
    """Independent pixels around mid grey, far from black and white."""
    rng = np.random.default_rng(seed)
    return np.rint(rng.normal(128, spread, (n, *SHAPE))).clip(20, 235).astype(np.uint8)


def pattern() -> np.ndarray:
    """A perturbation of 4 levels up and down, one grating."""
    wave = np.sin(np.arange(16) * np.pi / 2) * 4
    return np.rint(np.broadcast_to(wave, SHAPE)).astype(np.int16)


def published(n: int, seed: int) -> np.ndarray:
    return (noise_faces(n, seed) + pattern()).astype(np.uint8)


def test_the_error_falls_with_the_square_root_of_images() -> None:
    clean = noise_faces(20000, 0)
    errors = []
    for n in (25, 100, 400):
        found = [mean_difference(published(n, seed), clean) * 255 - pattern() for seed in (1, 2, 3)]
        errors.append(np.sqrt(np.mean(np.square(found))))
    expected = [expected_error(20, n, 20000) for n in (25, 100, 400)]
    np.testing.assert_allclose(errors, expected, rtol=0.05)
    np.testing.assert_allclose([errors[0] / errors[1], errors[1] / errors[2]], 2, rtol=0.1)


def test_identical_images_give_the_difference_itself() -> None:
    x = noise_faces(5, 0)
    found = mean_difference((x + 3).astype(np.uint8), x)
    np.testing.assert_allclose(found, 3 / 255, atol=1e-12)


def test_shapes_must_be_those_of_the_images() -> None:
    with pytest.raises(PriemoError, match="must have one shape"):
        mean_difference(noise_faces(2, 0), noise_faces(2, 0)[:, :, :8])


def test_wiener_is_nearer_to_the_perturbation_and_never_larger_than_what_it_shrinks() -> None:
    clean, truth = noise_faces(500, 0), pattern() / 255
    for n in (3, 30, 300):
        plain = mean_difference(published(n, 1), clean)
        shrunk = wiener(plain, clean, n)
        assert np.square(shrunk).sum() <= np.square(plain).sum()
        assert np.square(shrunk - truth).sum() < np.square(plain - truth).sum()


def test_wiener_removes_nearly_all_where_there_is_no_perturbation() -> None:
    clean = noise_faces(500, 0)
    plain = mean_difference(noise_faces(100, 1), clean)
    # a gain of max(0, 1 - 1/E) for an exponential power of mean 1 keeps E[(E - 1)^2 / E; E > 1]
    assert np.square(wiener(plain, clean, 100)).sum() < 0.3 * np.square(plain).sum()


def test_each_group_has_its_own_estimate() -> None:
    clean = noise_faces(4000, 0)
    seen = np.concatenate([published(2000, 1), noise_faces(2000, 2)])
    groups = np.repeat([0, 2], 2000)
    found = estimates_of(seen, groups, clean, np.zeros(4000, int), 2000, "plain")
    assert found.shape == (3, *SHAPE)
    np.testing.assert_allclose(found[0] * 255, pattern(), atol=3)
    assert not found[1].any()  # nobody has seen one of these
    assert np.abs(found[2]).max() * 255 < 3
    restored = subtract(seen[[0, -1]], found, groups[[0, -1]])
    np.testing.assert_allclose(restored[0] * 255, seen[0].astype(float) - found[0] * 255, atol=1e-3)


def test_only_the_first_images_of_a_group_are_averaged() -> None:
    clean, seen = noise_faces(50, 0), published(50, 1)
    zeros = np.zeros(50, int)
    few = estimates_of(seen, zeros, clean, zeros, 7, "plain")[0]
    np.testing.assert_array_equal(few, mean_difference(seen[:7], clean))


def test_what_is_subtracted_is_clipped() -> None:
    x = np.array([0, 255], np.uint8).reshape(1, 1, 1, 2)
    estimate = np.array([0.5, -0.5]).reshape(1, 1, 1, 2)
    found = subtract(x, estimate, np.zeros(1, int))
    np.testing.assert_array_equal(found.ravel(), [0, 1])
