"""What a model predicts for a batch of images, and by what margin."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from priemo_bench.contracts.image import FloatImages

BATCH = 250
Probabilities = npt.NDArray[np.float32]


@torch.inference_mode()
def probabilities(victim: nn.Module, x: FloatImages) -> Probabilities:
    """(n, 7) probabilities for (n, c, h, w) floats in [0, 1]."""
    device = next((p.device for p in victim.parameters()), torch.device("cpu"))
    parts = [
        victim(torch.from_numpy(np.ascontiguousarray(x[i : i + BATCH])).to(device)).softmax(1).cpu()
        for i in range(0, len(x), BATCH)
    ]
    return torch.cat(parts).numpy()


def predict(victim: nn.Module, x: FloatImages) -> npt.NDArray[np.int8]:
    """(n,) what a victim reads in what it is shown, (n, c, h, w) floats in [0, 1]."""
    return probabilities(victim, x).argmax(1).astype(np.int8)
