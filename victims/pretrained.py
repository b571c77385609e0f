"""Pretrained weights that the training of an embedded victim starts from."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from priemo_bench.errors import PriemoError


def load_pretrained(net: nn.Module, path: Path) -> None:
    """Copy a published state dict of the same architecture into `net`, all but the last layer.

    Tensors are paired by order, since their names differ between implementations. Weight and bias
    of the last linear layer, which come last in both, are for other classes and are not copied.

    Raises:
        PriemoError: the file is not a state dict of this architecture.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        pairs = list(zip(net.state_dict().items(), found.items(), strict=True))[:-2]
    except Exception as error:  # torch documents no exception types for other files
        raise PriemoError(f"{path} is not a state dict of this network ({error})") from None
    for (name, tensor), (other, value) in pairs:
        if tensor.shape != value.shape:
            raise PriemoError(
                f"{path} does not fit: {other!r} is {tuple(value.shape)} where {name!r} is "
                f"{tuple(tensor.shape)}"
            )
    net.load_state_dict({name: value for (name, _), (_, value) in pairs}, strict=False)
