"""Learning from leaked pairs: clean faces, and the same faces protected."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from priemo_bench.contracts.image import ByteImages, check_bytes, to_float
from priemo_bench.errors import PriemoError
from priemo_bench.progress import Progress
from priemo_bench.train.minimise import Minimiser

LEAST = 20
"""Pairs that something can be learnt from, a tenth of which is held out."""
BATCH, RATE = 32, 1e-3
STEPS = 20
"""Steps of training, times the root of the number of pairs: 600 for 1,000."""
CHECKS = 10
"""Times that the held-out pairs are looked at; the best weights are kept."""

Net = TypeVar("Net", bound=nn.Module)
Loss = Callable[[Net, Tensor, Tensor], Tensor]
"""Of a network, clean faces and the same protected, (n, c, h, w) in [0, 1]: the mean over pairs."""


@dataclass(frozen=True)
class Pairs:
    """Pairs to learn from and held-out ones, float32 (n, c, h, w) in [0, 1].

    Attributes:
        clean, protected: to learn from.
        held_clean, held_protected: a tenth of all, drawn by the seed.
    """

    clean: Tensor
    protected: Tensor
    held_clean: Tensor
    held_protected: Tensor

    @classmethod
    def of(cls, clean: ByteImages, protected: ByteImages, seed: int = 0) -> Pairs:
        """Split (n, c, h, w) uint8 pairs.

        Raises:
            PriemoError: not images, shapes that differ, or fewer than LEAST pairs.
        """
        clean, protected = check_bytes(clean, "clean"), check_bytes(protected, "protected")
        if clean.shape != protected.shape:
            raise PriemoError(
                f"clean has shape {clean.shape} and protected {protected.shape}; they must be pairs"
            )
        if len(clean) < LEAST:
            raise PriemoError(f"there are {len(clean)} pairs; at least {LEAST} are needed")
        order = np.random.default_rng(seed).permutation(len(clean))
        held, rest = np.split(order, [math.ceil(len(clean) / 10)])
        parts = [clean[rest], protected[rest], clean[held], protected[held]]
        return cls(*(torch.from_numpy(to_float(part)) for part in parts))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(c, h, w)."""
        c, h, w = self.clean.shape[1:]
        return c, h, w


def fit(
    make: Callable[[], Net],
    loss: Loss[Net],
    pairs: Pairs,
    title: str,
    seed: int = 0,
    shown: Progress | None = None,
) -> Net:
    """Train a network on pairs, and keep the weights that lose least on the held-out ones.

    The untrained network counts too: one that learns nothing does no harm.

    Args:
        make: the network, untrained; called after seeding.
        title: what `shown` calls it.

    Returns:
        The network, frozen.
    """
    shown = Progress() if shown is None else shown
    steps = math.ceil(STEPS * len(pairs.clean) ** 0.5)
    every = math.ceil(steps / CHECKS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = make()
        minimiser = Minimiser(net, RATE, steps)
        best, kept = _held_out(net, loss, pairs), _copy(net)
        shown.begin(title, title, steps)
        for step in range(steps):
            rows = torch.randint(len(pairs.clean), (min(BATCH, len(pairs.clean)),))
            minimiser.step(loss(net, pairs.clean[rows], pairs.protected[rows]), step)
            if (step + 1) % every == 0 or step + 1 == steps:
                now = _held_out(net, loss, pairs)
                best, kept = (now, _copy(net)) if now < best else (best, kept)
            shown.step(title, step + 1)
        shown.end(title, title, note=f"held-out loss {best:.4g}")
    net.load_state_dict(kept)
    return net.eval().requires_grad_(False)


def _copy(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


@torch.no_grad()
def _held_out(net: Net, loss: Loss[Net], pairs: Pairs) -> float:
    """Loss on the held-out pairs, up to 256 of them; not a number counts as infinite."""
    net.eval()
    clean = torch.split(pairs.held_clean[:256], 32)
    protected = torch.split(pairs.held_protected[:256], 32)
    losses = [float(loss(net, *part)) * len(part[0]) for part in zip(clean, protected, strict=True)]
    net.train()
    mean = sum(losses) / sum(len(part) for part in clean)
    return mean if math.isfinite(mean) else math.inf
