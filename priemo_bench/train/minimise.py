"""Minimising a loss over mini-batches: AdamW, with one schedule of its learning rate.

Muon, which the generators of the attacks are trained with, takes three times as long a step here:
its matrix products are of bfloat16, which most processors do not have.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

WARMUP = 0.05
"""Share of the steps in which the learning rate rises."""


def rate_at(step: int, steps: int) -> float:
    """Share of the peak learning rate: linear warm-up, then half a cosine to zero."""
    return min(1.0, (step + 1) / (WARMUP * steps)) * 0.5 * (1 + math.cos(math.pi * step / steps))


class Minimiser:
    """Steps of AdamW (Loshchilov & Hutter 2019).

    Args:
        net: what is trained.
        rate: peak learning rate.
        steps: of the whole schedule.
    """

    def __init__(self, net: nn.Module, rate: float, steps: int) -> None:
        self.rate, self.steps = rate, steps
        self.optimizer = torch.optim.AdamW(net.parameters(), rate)

    def step(self, loss: Tensor, step: int) -> None:
        """One step down a scalar, at the learning rate of `step`."""
        self.optimizer.param_groups[0]["lr"] = self.rate * rate_at(step, self.steps)
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.optimizer.step()

    def state(self) -> dict[str, Any]:
        """Of the optimiser, to go on from."""
        return self.optimizer.state_dict()

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.optimizer.load_state_dict(state)
