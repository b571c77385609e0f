"""Weights that a training starts from."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from priemo_bench.errors import PriemoError


def load_pretrained(net: nn.Module, path: Path) -> None:
    """Copy a published state dict of the same architecture into `net`, all but the last layer.

    Tensors are paired by their order, since names differ between implementations; the weight and
    bias of the last linear layer, for other classes, close both lists and stay as they are.

    Raises:
        PriemoError: the file is no state dict, or a tensor has another shape.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        pairs = list(zip(net.state_dict().items(), found.items(), strict=True))[:-2]
    except Exception as error:  # torch raises a dozen kinds for a file of another kind
        raise PriemoError(f"{path} is no state dict of this network ({error})") from None
    for (name, own), (other, value) in pairs:
        if own.shape != value.shape:
            raise PriemoError(
                f"{path} does not fit: {other!r} is {tuple(value.shape)} where {name!r} is "
                f"{tuple(own.shape)}"
            )
    net.load_state_dict({name: value for (name, _), (_, value) in pairs}, strict=False)
