"""A small victim and faces for it, the same for all tests of the attacks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from priemo_bench import registry
from priemo_bench.contracts.image import publish, to_float
from priemo_bench.contracts.victim import Victim, as_art

SIDE = 32


class SmallVictim(Victim):
    """Two convolutions of fixed random weights, 7 classes, 32x32, grey."""

    def __init__(self) -> None:
        super().__init__(SIDE, 1, (0.5,), (0.25,))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.body = nn.Sequential(
                nn.Conv2d(1, 8, 5, 2), nn.ReLU(), nn.Conv2d(8, 16, 5, 2), nn.ReLU(), nn.Flatten()
            )
            self.fc = nn.Linear(400, 7)
            self.fc.weight.data *= 20

    def embed(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return out

    def head(self, f: Tensor) -> Tensor:
        out: Tensor = self.fc(f)
        return out


class Halves(nn.Module):
    """Predicts 1 where the left half is brighter than the right one, 0 otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2, bias=False)
        self.fc.weight.data = torch.eye(2)

    def forward(self, x: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        left, right = x[..., :half].mean((1, 2, 3)), x[..., half:].mean((1, 2, 3))
        out: Tensor = self.fc(torch.stack([right - left, left - right], 1) * 50)
        return out


@pytest.fixture(scope="session")
def halves() -> PyTorchClassifier:
    """For 16x16 grey, two classes."""
    return PyTorchClassifier(
        Halves(), nn.CrossEntropyLoss(), (1, 16, 16), 2, clip_values=(0, 1), device_type="cpu"
    )


class LinearModel(nn.Module):
    """Three classes, the last never predicted, so that the margin of the others is linear in x."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        size = int(np.prod(shape))
        self.fc = nn.Linear(size, 3)
        weight = torch.randn(size, generator=torch.Generator().manual_seed(1))
        self.fc.weight.data = torch.stack([torch.zeros(size), weight, torch.zeros(size)])
        self.fc.bias.data = torch.tensor([0.0, -0.5 * float(weight.sum()) - 1.0, -1e4])

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(x.flatten(1))
        return out


class TwoBands(nn.Module):
    """A checkerboard darkens class 0 most; the two halves of the image do so through a blur too.

    The margin of 16x16 grey images is 4/255, less 1.5 times what is common with the checkerboard
    and once what is common with the halves: at 8/255 either is enough, and a blur leaves the second
    only.
    """

    def __init__(self) -> None:
        super().__init__()
        rows, columns = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
        fine, halves = 1 - 2 * ((rows + columns) % 2), 1 - 2 * (columns < 8).long()
        self.pattern = (1.5 * fine + halves).float()
        self.fc = nn.Linear(2, 2, bias=False)
        self.fc.weight.data = torch.eye(2)

    def forward(self, x: Tensor) -> Tensor:
        margins = 4 / 255 + ((x - 0.5) * self.pattern).mean((1, 2, 3))
        out: Tensor = self.fc(50 * torch.stack([margins, -margins], 1))
        return out


class Bands:
    """`TwoBands`, and grey images of its class 0, labelled."""

    classifier = PyTorchClassifier(
        TwoBands(), nn.CrossEntropyLoss(), (1, 16, 16), 2, clip_values=(0, 1), device_type="cpu"
    )
    x = np.full((4, 1, 16, 16), 128 / 255, np.float32)
    y = np.zeros(4, np.int64)

    def protected(self, images: np.ndarray, *filters: str) -> np.ndarray:
        """(n,) whether images are protected without a filter and under each of `filters`."""
        shown = [images, *(registry.get("defenses", name)(publish(images)) for name in filters)]
        found: np.ndarray = np.all([self.classifier.predict(v).argmax(1) != 0 for v in shown], 0)
        return found


@pytest.fixture(scope="session")
def bands() -> Bands:
    return Bands()


def photographs(n: int, channels: int, side: int, seed: int = 0) -> np.ndarray:
    """(n, channels, side, side) smooth random images, on the 8-bit grid."""
    noise = np.random.default_rng(seed).normal(0, 1, (n, channels, side, side))
    smooth = sum(gaussian_filter(noise, (0, 0, s, s)) * s * 0.2 for s in (0.7, 2, 4))
    return to_float(publish((0.5 + smooth).clip(0, 1).astype(np.float32)))


@pytest.fixture(params=[1, 3], ids=["grey", "rgb"])
def x(request: pytest.FixtureRequest) -> np.ndarray:
    return photographs(6, request.param, SIDE)


@pytest.fixture
def classifier(x: np.ndarray) -> PyTorchClassifier:
    return as_art(SmallVictim(), x.shape[1], SIDE)


@pytest.fixture
def linear() -> PyTorchClassifier:
    shape = (1, 12, 12)
    return PyTorchClassifier(
        LinearModel(shape), nn.CrossEntropyLoss(), shape, 3, clip_values=(0, 1), device_type="cpu"
    )


@pytest.fixture
def linear_x() -> np.ndarray:
    """Images of class 0 near mid-grey: no clipping up to an eps of 0.3."""
    rng = np.random.default_rng(3)
    return (0.5 + rng.uniform(-0.002, 0.002, (8, 1, 12, 12))).astype(np.float32)


@pytest.fixture
def optimum(linear: PyTorchClassifier) -> np.ndarray:
    """(1, 12, 12) sign of the best change from class 0 to class 1."""
    weight = linear.model.fc.weight
    return (weight[1] - weight[0]).sign().reshape(1, 12, 12).detach().numpy()
