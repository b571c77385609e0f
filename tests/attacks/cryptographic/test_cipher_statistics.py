"""Cipher statistics: closed forms, and scikit-image's entropy."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import shannon_entropy

from priemo_bench.attacks.cryptographic.cipher_statistics import (
    entropy,
    neighbour_correlation,
    npcr,
    uaci,
)
from priemo_bench.errors import PriemoError


def uniform(seed: int, shape: tuple[int, ...] = (4, 3, 64, 64)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_extremes() -> None:
    black, white = np.zeros((2, 1, 8, 8), np.uint8), np.full((2, 1, 8, 8), 255, np.uint8)
    assert (npcr(black, black) == 0).all()
    assert (npcr(black, white) == 1).all()
    assert (uaci(black, white) == 1).all()
    assert (entropy(black) == 0).all()
    assert (entropy(np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)) == 8).all()


def test_independent_uniform_images() -> None:
    x, y = uniform(0), uniform(1)
    assert npcr(x, y).mean() == pytest.approx(255 / 256, abs=1e-3)
    assert uaci(x, y).mean() == pytest.approx(257 / 768, abs=3e-3)
    np.testing.assert_allclose(neighbour_correlation(x), 0, atol=0.04)


def test_entropy_is_that_of_scikit_image() -> None:
    x = uniform(2) // 3
    np.testing.assert_allclose(entropy(x), [shannon_entropy(image) for image in x], rtol=1e-9)


def test_correlation_is_that_of_numpy() -> None:
    x = (np.arange(40, dtype=np.uint8).reshape(1, 1, 5, 8) * 7) % 50
    x = x.astype(np.uint8)
    expected = np.corrcoef(x[..., :-1].ravel(), x[..., 1:].ravel())[0, 1]
    assert neighbour_correlation(x)[0] == pytest.approx(expected)
    assert neighbour_correlation(np.zeros_like(x))[0] == 1


def test_shapes_must_agree() -> None:
    with pytest.raises(PriemoError, match="same"):
        npcr(uniform(0), uniform(0, (4, 1, 64, 64)))
