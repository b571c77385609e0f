"""A tiny victim, its spec and made-up faces."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from priemo_bench.contracts.augmentation import Augmentation
from priemo_bench.contracts.dataset import FaceSet, Split
from priemo_bench.contracts.training import TrainingSpec
from priemo_bench.contracts.victim import Victim
from priemo_bench.testing.toys import toy_faces


class Tiny(Victim):
    """One convolution, batch norm, dropout and a linear layer, on 16x16 grey."""

    def __init__(self) -> None:
        super().__init__(16, 1, (0.5,), (0.25,))
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2))
        self.last = nn.Linear(4, 7)

    def embed(self, x: Tensor) -> Tensor:
        return self.body(x).mean((2, 3))

    def head(self, f: Tensor) -> Tensor:
        return self.last(f)


Faces = Callable[..., FaceSet]


@pytest.fixture
def faces() -> Faces:
    def make(split: Split = "train", n: int = 14, name: str = "toy", seed: int = 0) -> FaceSet:
        images, labels = toy_faces(n, 1, 16, seed)
        images = np.rint(images * 255).astype(np.uint8)
        ids = np.array([f"{name}-{split}-{i}" for i in range(n)])
        return FaceSet(name, split, images, labels, ids, ids)

    return make


@pytest.fixture
def spec() -> TrainingSpec:
    return TrainingSpec(
        name="tiny",
        model={"architecture": "tiny"},
        repeats={"toy": 2},
        choice="toy",
        seed=3,
        epochs=2,
        batch=14,
        optimizer="adamw",
        rate=1e-2,
        weight_decay=0.01,
        decay=0.5,
        augmentation=Augmentation(equalised=0.5, blurred=0.5, noisy=0.5, erased=0.5),
    )


@pytest.fixture
def build() -> Callable[[], Victim]:
    torch.set_num_threads(1)
    return Tiny
