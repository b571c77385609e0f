"""DDN against the closed form of a linear model."""

from __future__ import annotations

import numpy as np
import pytest
from art.estimators.classification import PyTorchClassifier

from priemo_bench.attacks.ddn import DDN


@pytest.mark.parametrize("targeted", [False, True])
def test_finds_the_nearest_point_beyond_the_boundary(
    targeted: bool, linear: PyTorchClassifier, linear_x: np.ndarray
) -> None:
    """Distance to a hyperplane: margin / ||w||. No 8-bit grid below one level of eps."""
    weight = (linear.model.fc.weight[1] - linear.model.fc.weight[0]).detach().numpy()
    logits = linear.predict(linear_x)
    nearest = (logits[:, 0] - logits[:, 1]) / np.linalg.norm(weight)
    attack = DDN(linear, 0.999 / 255 * 10, targeted, steps=200)
    attack._quantize = lambda x: x  # type: ignore[method-assign]
    y = np.full(len(linear_x), int(targeted))
    change = (attack.generate(linear_x, y) - linear_x).reshape(len(linear_x), -1)
    sizes = np.linalg.norm(change, axis=1)
    assert (sizes >= nearest * (1 - 1e-4)).all()
    assert (sizes <= nearest * 1.1).all()
    cosine = change @ weight / sizes / np.linalg.norm(weight)
    assert (cosine > 0.99).all()


def test_is_on_the_grid_and_still_enough(linear: PyTorchClassifier, linear_x: np.ndarray) -> None:
    x = (linear_x * 255).round() / np.float32(255)
    out = DDN(linear, 8 / 255, steps=60).generate(x, np.zeros(len(x), int))
    np.testing.assert_allclose(out * 255, (out * 255).round(), atol=1e-4)
    assert (linear.predict(out).argmax(1) == 1).all()


def test_a_misclassified_image_is_unchanged(
    linear: PyTorchClassifier, linear_x: np.ndarray
) -> None:
    x = (linear_x * 255).round() / np.float32(255)
    out = DDN(linear, 8 / 255, steps=5).generate(x, np.ones(len(x), int))
    np.testing.assert_allclose(out, x, atol=1e-6)
