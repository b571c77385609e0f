"""Faces that a per-image attack learns feature vectors from where its caller has fitted none.

They are the embedded ones, whatever it protects: so a photo's protection depends on no other photo.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from priemo_bench import registry
from priemo_bench.contracts.victim import GREY

DATASET = "rendered"


@cache
def _faces() -> Tensor:
    images = registry.get("datasets", DATASET)(None, None).split("fit").images
    return torch.from_numpy(images) / 255


def default_faces(channels: int, height: int, width: int) -> Tensor:
    """The fit split of the embedded faces, (n, channels, height, width) floats in [0, 1]."""
    faces = _faces()
    if channels == 1:
        faces = (faces * torch.tensor(GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)
    if faces.shape[-2:] == (height, width):
        return faces
    return interpolate(faces, (height, width), mode="bilinear", antialias=True).clamp(0, 1)
