"""What a model predicts for a batch of images, and by what margin."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from priemo_bench.contracts.image import ByteImages, FloatImages, Labels, to_float

BATCH = 250
"""Images that go through a model at once; half as many where memory runs out."""
Probabilities = npt.NDArray[np.float32]


def device_of(model: nn.Module) -> torch.device:
    """Where a model's parameters are; the CPU for one without any."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


@torch.inference_mode()
def probabilities(model: nn.Module, x: FloatImages | ByteImages) -> Probabilities:
    """Softmax of the logits of a model, in batches, on the model's own device.

    Args:
        model: images (n, c, h, w) in [0, 1] to logits (n, k), in evaluation mode.
        x: (n, c, h, w), floats in [0, 1] or uint8.

    Returns:
        (n, k) float32.
    """
    parts, start, size = [], 0, BATCH
    while start < len(x):
        try:
            parts.append(_softmax(model, x[start : start + size]))
        except (MemoryError, RuntimeError) as error:
            if size == 1 or "memory" not in f"{type(error).__name__} {error}".lower():
                raise
            size //= 2
            continue
        start += size
    found: Probabilities = torch.cat(parts).numpy()
    return found


def _softmax(model: nn.Module, batch: FloatImages | ByteImages) -> Tensor:
    floats = to_float(batch) if batch.dtype == np.uint8 else batch
    tensor = torch.from_numpy(np.array(floats)).to(device_of(model))
    scores: Tensor = model(tensor).softmax(1).cpu()
    return scores


def predict(model: nn.Module, x: FloatImages | ByteImages) -> Labels:
    """(n,) predicted classes; arguments as for `probabilities`."""
    classes: Labels = probabilities(model, x).argmax(1)
    return classes


def margin(logits: Tensor, labels: Tensor, other: Tensor | None = None) -> Tensor:
    """Logit margin: that of the label less the largest of the others; differentiable.

    Carlini & Wagner 2017, f6 without its bound. Negative where another class is predicted.

    Args:
        logits: (n, k). labels: (n,) classes.
        other: (n,) the one class to compare with, instead of the best of all others.

    Returns:
        (n,).
    """
    own = logits.gather(1, labels[:, None]).squeeze(1)
    if other is not None:
        return own - logits.gather(1, other[:, None]).squeeze(1)
    return own - logits.scatter(1, labels[:, None], -torch.inf).amax(1)
