"""Feature cloaks against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn

from priemo_bench.attacks.cloaks import TIPIM, Fawkes
from priemo_bench.contracts.image import publish
from priemo_bench.errors import PriemoError
from priemo_bench.quality.budget import Budget

SIDE, EPS = 12, 6 / 255


class TwoFeatures(nn.Module):
    """Features (w . (x - 1/2), 1); predicts which third of the plane they lie in."""

    def __init__(self) -> None:
        super().__init__()
        weight = torch.randn(SIDE * SIDE, generator=torch.Generator().manual_seed(2))
        self.weight = nn.Parameter(weight)

    def features(self, x: Tensor) -> Tensor:
        along = (x.flatten(1) - 0.5) @ self.weight
        return torch.stack([along, torch.ones_like(along)], 1)

    def head(self, f: Tensor) -> Tensor:
        return torch.stack([-f[:, 0], 0.3 * f[:, 1], f[:, 0]], 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


@pytest.fixture
def classifier() -> PyTorchClassifier:
    return PyTorchClassifier(
        TwoFeatures(), nn.CrossEntropyLoss(), (1, SIDE, SIDE), 3, clip_values=(0, 1)
    )


@pytest.fixture
def faces(classifier: PyTorchClassifier) -> np.ndarray:
    """Three near mid-grey, predicted as 0, 1 and 2."""
    step = np.sign(classifier.model.weight.detach().numpy()).reshape(1, 1, SIDE, SIDE)
    places = np.array([-1, 0, 1])[:, None, None, None]
    return (0.5 + 0.01 * places * step).astype(np.float32)


def test_faces_are_predicted_as_constructed(
    classifier: PyTorchClassifier, faces: np.ndarray
) -> None:
    assert classifier.predict(faces).argmax(1).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("face", "target", "sign"), [(0, 2, 1), (2, 0, -1), (1, 0, -1)])
def test_tip_im_goes_straight_to_its_target(
    classifier: PyTorchClassifier, faces: np.ndarray, face: int, target: int, sign: int
) -> None:
    attack = TIPIM(classifier, EPS, targeted=True, steps=10, verbose=False).fit(faces)
    x = faces[[face]]
    change = attack.generate(x, np.array([target])) - x
    best = sign * EPS * np.sign(classifier.model.weight.detach().numpy())
    np.testing.assert_allclose(change.ravel(), best, atol=1e-6)


def test_tip_im_takes_the_nearest_of_the_others(
    classifier: PyTorchClassifier, faces: np.ndarray
) -> None:
    """From either end the middle is nearer than the other end."""
    attack = TIPIM(classifier, EPS, steps=1, verbose=False).fit(faces)
    signs = np.sign(classifier.model.weight.detach().numpy())
    moves = ((attack.generate(faces) - faces).reshape(3, -1) @ signs) / signs.size
    assert moves[0] > 0 > moves[2]


def test_fawkes_goes_to_the_farthest(classifier: PyTorchClassifier, faces: np.ndarray) -> None:
    """From the ends to the other end; within both bounds when published."""
    attack = Fawkes(classifier, 0.5, 16 / 255, steps=40, verbose=False).fit(faces)
    out = attack.generate(faces)
    assert Budget(0.5, 16 / 255).holds(publish(faces), publish(out)).all()
    predicted = classifier.predict(out).argmax(1)
    assert (predicted[0], predicted[2]) == (2, 0)
    free = Fawkes(classifier, None, 16 / 255, steps=40, verbose=False).fit(faces).generate(faces)
    assert np.abs(free - faces).max() <= 16 / 255 + 1e-6


def test_bad_arguments_are_named(classifier: PyTorchClassifier, faces: np.ndarray) -> None:
    with pytest.raises(PriemoError, match="two emotions or more"):
        TIPIM(classifier, verbose=False).fit(faces[:1])
    attack = TIPIM(classifier, targeted=True, verbose=False).fit(faces[:2])
    with pytest.raises(PriemoError, match="predicted as class 2"):
        attack.generate(faces, np.array([2, 2, 2]))
    with pytest.raises(PriemoError, match="all None"):
        Fawkes(classifier, None, None)
    with pytest.raises(PriemoError, match="steps"):
        TIPIM(classifier, steps=0)
