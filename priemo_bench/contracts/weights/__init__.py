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
    found = sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise PriemoError(
            f"weight file {path} has SHA-256 {found[:16]}..., expected {expected[:16]}...: "
            "it is corrupt or another version; install it again"
        )


def load_weights(victim: nn.Module, path: Path) -> None:
    """Copy the safetensors file `path` into the victim, in the victim's own precision.

    Raises:
        PriemoError: not such a file, or not the weights of this network; all tensors are compared
            before the first is copied.
    """
    try:
        found = load(path.read_bytes())
    except SafetensorError as error:
        raise PriemoError(f"weight file {path} is no whole safetensors file: {error}") from None
    wanted = {name: tuple(tensor.shape) for name, tensor in victim.state_dict().items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
    wrong = [name for name in sorted({*wanted, *shapes}) if wanted.get(name) != shapes.get(name)]
    if wrong:
        name = wrong[0]
        raise PriemoError(
            f"weight file {path} does not fit its network: {len(wrong)} of {len(wanted)} tensors "
            f"differ, first {name!r}, {shapes.get(name, 'absent')} in the file and "
            f"{wanted.get(name, 'absent')} in the network"
        )
    victim.load_state_dict(found)
