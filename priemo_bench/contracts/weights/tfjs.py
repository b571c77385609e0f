"""Weights of TensorFlow.js: a JSON manifest of tensors, and one binary file with their values.

Quantised tensors are integers with a scale and a minimum each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

Array = npt.NDArray[np.float32]


def files(model: str) -> tuple[str, str]:
    """File names of the values and of the manifest of a `model`."""
    return f"{model}.bin", f"{model}-weights_manifest.json"


def tensors(folder: Path, model: str) -> dict[str, Array]:
    """The tensors of a model by name; quantised ones as value * scale + min.

    Raises:
        KeyError, ValueError: the files are not of this format.
    """
    binary, manifest = files(model)
    data = (folder / binary).read_bytes()
    arrays: dict[str, Array] = {}
    start = 0
    for weight in json.loads((folder / manifest).read_text("utf-8"))[0]["weights"]:
        packed = weight.get("quantization", {"dtype": "float32", "scale": 1.0, "min": 0.0})
        dtype = np.dtype(packed["dtype"])
        count = int(np.prod(weight["shape"]))
        values = np.frombuffer(data, dtype, count, start).astype(np.float64)
        start += count * dtype.itemsize
        values = values * packed["scale"] + packed["min"]
        arrays[weight["name"]] = values.reshape(weight["shape"]).astype(np.float32)
    return arrays


def kernel(filters: Array) -> Array:
    """(height, width, in, out) to torch's (out, in, height, width)."""
    return filters.transpose(3, 2, 0, 1)


def depthwise(filters: Array) -> Array:
    """(height, width, channels, 1) to torch's (channels, 1, height, width)."""
    return filters.transpose(2, 3, 0, 1)


def fill(net: nn.Module, state: Mapping[str, Array]) -> None:
    """Load arrays as the state dict of `net`; RuntimeError when a name or a shape differs."""
    net.load_state_dict({k: torch.tensor(a.copy()) for k, a in state.items()})
