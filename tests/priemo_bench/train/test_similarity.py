"""Similarity of victims whose predictions and gradients are known."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.train.similarity import similarity


class Linear(nn.Module):
    """Logits linear in the pixels."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight


def test_a_victim_is_similar_to_itself_not_to_its_negative(
    faces: Callable[..., FaceSet],
) -> None:
    weight = torch.randn(48 * 48, 7, generator=torch.Generator().manual_seed(0))
    two = weight[:, :2]
    victims = {"a": Linear(two), "again": Linear(3 * two), "negative": Linear(-two)}
    own = faces("test", n=14)
    labels = np.arange(14) % 2
    found = similarity(victims, FaceSet("toy", "test", own.images, labels, own.ids, own.ids))
    assert found["n"] == 14
    assert found["agreement"] == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert np.allclose(found["gradient"], [[1, 1, -1], [1, 1, -1], [-1, -1, 1]], atol=1e-4)
