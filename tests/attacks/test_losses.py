"""The margin loss, and classifiers with another loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from art.estimators.classification import BlackBoxClassifier, PyTorchClassifier
from torch import nn

from priemo_bench.attacks.losses import ClippedInput, MarginLoss, clip, with_loss
from priemo_bench.errors import PriemoError


def test_margin_is_best_other_minus_own() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, -1.0]], requires_grad=True)
    loss = MarginLoss()(logits, torch.eye(3)[[0, 2]])
    assert loss.item() == pytest.approx(((2 - 3) + (5 - -1)) / 2)
    loss.backward()
    np.testing.assert_allclose(logits.grad, [[-0.5, 0, 0.5], [0, 0.5, -0.5]])


def test_with_margin_loss_the_gradient_is_that_of_the_margin(
    classifier: PyTorchClassifier, x: np.ndarray
) -> None:
    y = np.arange(len(x)) % 7
    gradient = with_loss(classifier, "margin").loss_gradient(x, np.eye(7, dtype=np.float32)[y])
    t = torch.from_numpy(x.copy()).requires_grad_()
    logits = classifier.model(t)
    own = logits[torch.arange(len(x)), y]
    others = [[logits[i, k] for k in range(7) if k != y[i]] for i in range(len(x))]
    (torch.stack([torch.stack(row).max() for row in others]) - own).mean().backward()
    np.testing.assert_allclose(gradient, t.grad, rtol=1e-4, atol=1e-7)


def test_with_loss_shares_the_model(classifier: PyTorchClassifier, x: np.ndarray) -> None:
    assert with_loss(classifier) is classifier
    for loss in ("cross_entropy", "margin"):
        other = with_loss(classifier, loss, clip_input=True)  # type: ignore[arg-type]
        assert other.model.model is classifier.model
        np.testing.assert_array_equal(other.predict(x), classifier.predict(x))


def test_clipped_input_is_the_published_range(classifier: PyTorchClassifier, x: np.ndarray) -> None:
    outside = torch.from_numpy(x * 3 - 1)
    expected = classifier.model(outside.clamp(0, 1))
    torch.testing.assert_close(ClippedInput(classifier.model)(outside), expected)


def test_clipping_passes_the_gradient() -> None:
    x = torch.tensor([-0.5, 0.0, 0.5, 1.0, 1.5], requires_grad=True)
    y = clip(x)
    y.sum().backward()
    assert y.tolist() == [0, 0, 0.5, 1, 1]
    assert x.grad.tolist() == [1] * 5


def test_with_loss_keeps_the_preprocessing(x: np.ndarray) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(x[0].size, 7))
    first = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), x.shape[1:], 7, clip_values=(0, 1), device_type="cpu",
        preprocessing=(0.3, 0.5),
    )  # fmt: skip
    np.testing.assert_array_equal(with_loss(first, "margin").predict(x), first.predict(x))


def test_other_classifiers_are_refused(x: np.ndarray) -> None:
    with pytest.raises(PriemoError, match="PyTorchClassifier"):
        with_loss(BlackBoxClassifier(lambda v: np.zeros((len(v), 7)), x.shape[1:], 7))  # type: ignore[arg-type]
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 7))
    for values in (None, (0, 255)):
        with pytest.raises(PriemoError, match="clip_values"):
            with_loss(
                PyTorchClassifier(model, nn.CrossEntropyLoss(), (1, 2, 2), 7, clip_values=values)
            )
