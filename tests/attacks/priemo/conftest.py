"""Classifiers whose optima are known, and faces for them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from priemo_bench.contracts.image import publish, to_float

SIDE, CLASSES = 16, 3


class Templates(nn.Module):
    """Logits are correlations with one fixed smooth template a class: everything is known."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        coarse = torch.randn(CLASSES, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
        templates = nn.functional.interpolate(coarse, SIDE, mode="bilinear").flatten(1)
        self.templates = templates / templates.norm(dim=1, keepdim=True)
        self.fc = nn.Linear(CLASSES, CLASSES, bias=False)
        self.fc.weight.data = torch.eye(CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.fc((x.flatten(1) - 0.5) @ self.templates.T)
        return out


def wrap(model: nn.Module, clip: tuple[float, float] = (0.0, 1.0)) -> PyTorchClassifier:
    return PyTorchClassifier(
        model, nn.CrossEntropyLoss(), (1, SIDE, SIDE), CLASSES, clip_values=clip, device_type="cpu"
    )


@pytest.fixture(scope="module")
def model() -> Templates:
    return Templates()


@pytest.fixture(scope="module")
def other_model() -> Templates:
    return Templates(seed=1)


@pytest.fixture(scope="module")
def classifier(model: Templates) -> PyTorchClassifier:
    return wrap(model)


@pytest.fixture(scope="module")
def faces(model: Templates) -> np.ndarray:
    """Faint templates in noise: each class is predicted, with a small margin."""
    rng = np.random.default_rng(0)
    base = model.templates.numpy()[np.arange(30) % CLASSES] * 0.5
    x = 0.5 + base.reshape(-1, 1, SIDE, SIDE) + rng.normal(0, 0.05, (30, 1, SIDE, SIDE))
    return to_float(publish(x.clip(0, 1).astype(np.float32)))
