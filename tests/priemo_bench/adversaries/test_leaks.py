"""What was fitted is leaked: exact where one perturbation is for all; guesses; iteration."""

from __future__ import annotations

import numpy as np

from priemo_bench.adversaries.leaks import most_confident, undo


def faces(n: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(30, 220, (n, 1, 12, 12)).astype(np.uint8)


def test_one_perturbation_for_all_is_undone_exactly_in_one_step() -> None:
    x = faces()
    delta = np.random.default_rng(1).integers(-8, 9, x.shape[1:])

    def publish(images: np.ndarray) -> np.ndarray:
        return (images.astype(int) + delta).clip(0, 255).astype(np.uint8)

    np.testing.assert_array_equal(undo(publish(x), publish, 1), x)
    np.testing.assert_array_equal(undo(publish(x), publish), x)


def test_clipping_is_all_that_is_lost() -> None:
    x = np.array([2, 100, 254], np.uint8).reshape(1, 1, 1, 3)

    def publish(images: np.ndarray) -> np.ndarray:
        return (images.astype(int) + 5).clip(0, 255).astype(np.uint8)

    found = undo(publish(x), publish)
    np.testing.assert_array_equal(found[..., :2], x[..., :2])
    np.testing.assert_array_equal(publish(found), publish(x))  # as good an original as x


def test_a_perturbation_that_depends_on_the_image_is_undone_by_iteration() -> None:
    x = faces(30)
    delta = np.random.default_rng(1).choice([-1.0, 1.0], x.shape[1:])

    def publish(images: np.ndarray) -> np.ndarray:
        strength = 2 + images.mean((1, 2, 3), keepdims=True) / 20  # of its own contrast, say
        return np.rint(images + strength * delta).clip(0, 255).astype(np.uint8)

    left = [np.abs(undo(publish(x), publish, k).astype(int) - x).mean() for k in (0, 1, 3)]
    assert left[0] > 5
    assert left[2] <= left[1] < 0.2


def test_the_surest_candidate_wins_image_by_image() -> None:
    one, other = np.zeros((2, 1, 2, 2), np.uint8), np.full((2, 1, 2, 2), 9, np.uint8)

    def predict(images: np.ndarray) -> np.ndarray:
        if images.max() == 0:
            return np.array([[0.5, 0.5], [0.1, 0.9]])
        return np.array([[0.7, 0.3], [0.2, 0.8]])

    found = most_confident([one, other], predict)
    np.testing.assert_array_equal(found[:, 0, 0, 0], [9, 0])
