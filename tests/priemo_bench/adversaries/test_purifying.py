"""A model behind a purifier: the value is the purifier's, the gradient that of its stand-in."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from priemo_bench.adversaries.purifying import Behind
from priemo_bench.testing import ToyVictim, toy_faces


class Half:
    """Halves an image, rounded; its stand-in does not round."""

    def __call__(self, x: np.ndarray, /) -> np.ndarray:
        return ((x // 2) / 255).astype(np.float32)

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        return x / 2


class Opaque:
    """The same without a stand-in."""

    def __call__(self, x: np.ndarray, /) -> np.ndarray:
        return ((x // 2) / 255).astype(np.float32)


@pytest.mark.parametrize(("defense", "slope"), [(Half(), 0.5), (Opaque(), 1.0)])
def test_value_and_gradient(defense: Half | Opaque, slope: float) -> None:
    victim = ToyVictim(0)
    faces, _ = toy_faces(7)
    x = torch.from_numpy(faces).requires_grad_()
    logits = Behind(defense, victim)(x)
    seen = torch.from_numpy(defense(np.rint(faces * 255).astype(np.uint8))).requires_grad_()
    expected = victim(seen)
    torch.testing.assert_close(logits, expected)
    (found,) = torch.autograd.grad(logits[:, 0].sum(), x)
    (own,) = torch.autograd.grad(expected[:, 0].sum(), seen)
    torch.testing.assert_close(found, slope * own)


def test_without_a_gradient_it_is_the_purifier_alone() -> None:
    victim = ToyVictim(0)
    faces, _ = toy_faces(7)
    with torch.no_grad():
        found = Behind(Half(), victim)(torch.from_numpy(faces))
    seen = Half()(np.rint(faces * 255).astype(np.uint8))
    torch.testing.assert_close(found, victim(torch.from_numpy(seen)))
