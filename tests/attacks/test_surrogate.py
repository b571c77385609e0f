"""Which features a surrogate has, and that its logits are the model's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn

from priemo_bench.attacks.priemo import PriEMO
from priemo_bench.attacks.surrogate import Surrogate
from priemo_bench.errors import PriemoError


class Averaged(nn.Module):
    """Like mini_XCEPTION: the last layer with parameters is a convolution, then a mean."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU())
        self.last = nn.Conv2d(8, 7, 3, stride, 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.last(self.body(x)).mean((2, 3))
        return logits


def as_classifier(model: nn.Module) -> PyTorchClassifier:
    loss = nn.CrossEntropyLoss()
    return PyTorchClassifier(model.eval(), loss, (1, 16, 16), 7, clip_values=(0.0, 1.0))


@pytest.mark.parametrize("stride", [1, 2])
def test_without_a_linear_layer_features_are_the_input_of_the_last_convolution(stride: int) -> None:
    torch.manual_seed(0)
    model = Averaged(stride)
    x = torch.rand(5, 1, 16, 16)
    features, logits = Surrogate(as_classifier(model))(x)
    weight, bias = model.last.weight.flatten(1), model.last.bias
    assert torch.allclose(features @ weight.T + bias, model(x), atol=1e-5)
    assert torch.equal(logits, model(x))


def test_priemo_protects_such_a_model() -> None:
    torch.manual_seed(1)
    classifier = as_classifier(Averaged())
    noise = np.random.default_rng(0).normal(0, 0.05, (12, 1, 16, 16))
    x = (np.linspace(0, 1, 12).reshape(-1, 1, 1, 1) + noise).clip(0, 1).astype(np.float32)
    assert len(np.unique(classifier.predict(x).argmax(1))) > 1
    protected = PriEMO(classifier, "image", ssim_floor=0.9, eps=None, verbose=False).generate(x)
    before, after = (classifier.predict(images).argmax(1) for images in (x, protected))
    assert (before != after).mean() > 0.5


def test_a_model_without_parameters_is_refused() -> None:
    class Bright(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean((1, 2, 3))[:, None] * torch.arange(7.0)

    with pytest.raises(PriemoError, match="layer with parameters"):
        Surrogate(as_classifier(Bright()))
