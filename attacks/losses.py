"""The loss that gradient attacks climb: cross-entropy, or the margin of the logits."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn

from priemo_bench.errors import PriemoError

Loss = Literal["cross_entropy", "margin"]
LOSSES: tuple[str, ...] = get_args(Loss)


class Margin(nn.Module):
    """Best other logit minus own logit, mean over images: what ART maximises (Carlini & Wagner
    2017, eq. 6 with kappa infinite); its gradient does not fade where the reading is confident.
    """

    reduction = "mean"

    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        """(n, classes) logits and one-hot labels to a scalar."""
        own = y > 0
        other = logits.masked_fill(own, -torch.inf).amax(1)
        return (other - logits[own]).mean()


def clip(x: Tensor) -> Tensor:
    """`x` clipped to [0, 1], its gradient passed straight through.

    That of `clamp` is zero outside, and in some versions of torch at 0 and 1 too, so that no
    white pixel could be darkened.
    """
    return x + (x.clamp(0, 1) - x).detach()


class Clipped(nn.Module):
    """`model` reading its input clipped to [0, 1], as the published image is."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.model(clip(x))
        return logits


def check_classifier(classifier: Any) -> None:
    """PriemoError unless a PyTorchClassifier with clip values 0 and 1."""
    if not isinstance(classifier, PyTorchClassifier):
        raise PriemoError(
            f"the classifier is a {type(classifier).__name__}; it must be an ART PyTorchClassifier"
        )
    clip = classifier.clip_values
    if clip is None or np.any(np.asarray(clip[0]) != 0) or np.any(np.asarray(clip[1]) != 1):
        raise PriemoError(f"clip_values of the classifier are {clip}; they must be (0, 1)")


def sibling(
    classifier: PyTorchClassifier, loss: Loss = "cross_entropy", clipped: bool = False
) -> PyTorchClassifier:
    """The same model, preprocessing and device under another loss; itself if it fits.

    Args:
        clipped: whether the model sees its input clipped to [0, 1].
    """
    check_classifier(classifier)
    if loss == "cross_entropy" and not clipped and isinstance(classifier.loss, nn.CrossEntropyLoss):
        return classifier
    return PyTorchClassifier(
        model=Clipped(classifier.model) if clipped else classifier.model,
        loss=Margin() if loss == "margin" else nn.CrossEntropyLoss(),
        input_shape=classifier.input_shape,
        nb_classes=classifier.nb_classes,
        clip_values=(0.0, 1.0),
        preprocessing_defences=classifier.preprocessing_defences,
        postprocessing_defences=classifier.postprocessing_defences,
        preprocessing=classifier.preprocessing,
        device_type="gpu" if classifier.device.type == "cuda" else "cpu",
    )
