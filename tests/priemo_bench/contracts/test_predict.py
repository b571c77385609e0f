"""Predictions and margins of models whose logits are known."""

import numpy as np
import torch
from torch import Tensor, nn

from priemo_bench.contracts import predict as p


class Brightness(nn.Module):
    """Two logits: the mean pixel, and one half."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((1, 2, 3))
        return torch.stack([mean, torch.full_like(mean, 0.5)], 1)


def test_bytes_and_floats_in_any_batch_have_the_softmax_of_their_logits() -> None:
    levels = np.arange(0, 256, dtype=np.uint8)  # more images than a batch
    images = np.broadcast_to(levels[:, None, None, None], (256, 1, 4, 4))
    first = 1 / (1 + np.exp(0.5 - levels / 255))
    for x in (images, images.astype(np.float32) / 255):
        found = p.probabilities(Brightness(), x)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, np.stack([first, 1 - first], 1), atol=1e-6)
        np.testing.assert_array_equal(p.predict(Brightness(), x), levels < 128)


def test_margin_is_negative_where_another_class_is_predicted() -> None:
    logits = torch.tensor([[3.0, 1, 0], [3.0, 1, 0]])
    assert p.margin(logits, torch.tensor([0, 1])).tolist() == [2, -2]
    assert p.margin(logits, torch.tensor([0, 1]), other=torch.tensor([2, 2])).tolist() == [3, 1]
