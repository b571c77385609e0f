"""The loss that a gradient attack maximises, cross-entropy or logit margin, as ART takes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn

from priemo_bench.attacks.filters import Filtered
from priemo_bench.contracts.predict import margin
from priemo_bench.errors import PriemoError

LossName = Literal["cross_entropy", "margin"]
LOSSES: tuple[str, ...] = get_args(LossName)


class MarginLoss(nn.Module):
    """Minus the logit margin, mean over images; ART maximises it (Carlini & Wagner 2017, f6).

    Unlike that of the cross-entropy, its gradient does not vanish at confident predictions.
    """

    reduction = "mean"

    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        """(n, classes) logits and one-hot labels to a scalar."""
        return -margin(logits, y.argmax(1)).mean()


def clip(x: Tensor) -> Tensor:
    """`x` clipped to [0, 1], with a straight-through gradient.

    The gradient of `clamp` is zero outside, and in some versions of torch at 0 and 1 too: a white
    pixel could never be darkened.
    """
    return x + (x.clamp(0, 1) - x).detach()


class ClippedInput(nn.Module):
    """`model` on its input clipped to [0, 1], as published images are."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.model(clip(x))
        return logits


def check_classifier(classifier: object) -> None:
    """PriemoError unless a PyTorchClassifier with clip values 0 and 1."""
    if not isinstance(classifier, PyTorchClassifier):
        raise PriemoError(
            f"the classifier is a {type(classifier).__name__}; it must be an ART PyTorchClassifier"
        )
    bounds = classifier.clip_values
    if bounds is None or np.any(np.asarray(bounds[0]) != 0) or np.any(np.asarray(bounds[1]) != 1):
        raise PriemoError(f"clip_values of the classifier are {bounds}; they must be (0, 1)")


def with_loss(
    classifier: PyTorchClassifier,
    loss: LossName = "cross_entropy",
    clip_input: bool = False,
    filters: Sequence[str] = (),
) -> PyTorchClassifier:
    """A classifier of the same model, preprocessing and device with another loss.

    Args:
        clip_input: whether the model gets its input clipped to [0, 1].
        filters: names of defenses, or of sets of them, over which the logits are averaged (see
            `Filtered`).

    Returns:
        `classifier` itself where nothing has to change.

    Raises:
        PriemoError: not a PyTorchClassifier with clip values (0, 1).
    """
    check_classifier(classifier)
    is_entropy = isinstance(classifier.loss, nn.CrossEntropyLoss)
    if loss == "cross_entropy" and not clip_input and not filters and is_entropy:
        return classifier
    model = Filtered(classifier.model, filters) if filters else classifier.model
    return PyTorchClassifier(
        model=ClippedInput(model) if clip_input else model,
        loss=MarginLoss() if loss == "margin" else nn.CrossEntropyLoss(),
        input_shape=classifier.input_shape,
        nb_classes=classifier.nb_classes,
        clip_values=(0.0, 1.0),
        preprocessing_defences=classifier.preprocessing_defences,
        postprocessing_defences=classifier.postprocessing_defences,
        preprocessing=classifier.preprocessing,
        device_type="gpu" if classifier.device.type == "cuda" else "cpu",
    )
