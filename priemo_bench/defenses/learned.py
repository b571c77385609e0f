"""What the learned purifiers have in common: embedded weights, and a pass for each image."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from priemo_bench.contracts.image import ByteImages, FloatImages, to_float

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from priemo_bench.defenses.unet import UNet

WEIGHTS = Path(__file__).parent / "weights"
SIDE = 48
"""Side of the faces that they are trained on, in pixels."""


@lru_cache(32)
def trained(
    name: str, digest: str, make: Callable[[], UNet], dtype: torch.dtype, device: torch.device
) -> UNet:
    """The network of a purifier with its embedded weights, frozen.

    Args:
        name: of the file in WEIGHTS.
        digest: its SHA-256.
        make: the network as it is before training.

    Raises:
        PriemoError: the file is missing, damaged, or of another network.
    """
    from priemo_bench.contracts.weights import check_sha256, load_weights

    path = WEIGHTS / f"{name}.safetensors"
    check_sha256(path, digest)
    net = make()
    load_weights(net, path)
    return net.to(device, dtype).eval().requires_grad_(False)


def one_by_one(change: Callable[[Tensor], Tensor], x: ByteImages) -> FloatImages:
    """`change` of every image alone, so that no bit depends on the others of a batch.

    Args:
        change: (1, c, h, w) floats in [0, 1] to the same.
        x: (n, 1 or 3, h, w) uint8.

    Returns:
        (n, 1 or 3, h, w) float32 in [0, 1].
    """
    import torch

    with torch.no_grad():
        changed = [change(image[None]) for image in torch.from_numpy(to_float(x))]
    out: FloatImages = torch.cat(changed).clamp(0, 1).numpy().astype(np.float32, copy=False)
    return out
