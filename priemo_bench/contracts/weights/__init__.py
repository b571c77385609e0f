"""Weights of networks: checked by SHA-256, read without unpickling, fetched on request only."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from priemo_bench.errors import PriemoError


def check_sha256(path: Path, expected: str) -> None:
    """PriemoError unless `path` exists and has the SHA-256 `expected`."""
    if not path.is_file():
        raise PriemoError(f"weight file {path} is missing")
    check_digest(path.read_bytes(), expected, f"weight file {path}")


def check_digest(data: bytes, expected: str, name: str) -> None:
    """PriemoError, which calls the data `name`, unless their SHA-256 is `expected`."""
    found = sha256(data).hexdigest()
    if found != expected:
        raise PriemoError(
            f"{name} has SHA-256 {found[:16]}..., expected {expected[:16]}...: "
            "it is corrupt or another version; install it again"
        )


def load_weights(net: nn.Module, path: Path) -> None:
    """Copy the safetensors file `path` into `net`, in the network's own precision.

    Raises:
        PriemoError: not a safetensors file, or the weights of another network; names and shapes
            of all tensors are compared before the first is copied.
    """
    try:
        found = load(path.read_bytes())
    except SafetensorError as error:
        raise PriemoError(
            f"weight file {path} is not safetensors, or is damaged: {error}"
        ) from None
    expected = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
    names = sorted({*expected, *shapes})
    wrong = [name for name in names if expected.get(name) != shapes.get(name)]
    if wrong:
        name = wrong[0]
        raise PriemoError(
            f"weight file {path} does not fit its network: {len(wrong)} of {len(expected)} tensors "
            f"differ, first {name!r}, {shapes.get(name, 'absent')} in the file and "
            f"{expected.get(name, 'absent')} in the network"
        )
    net.load_state_dict(found)
