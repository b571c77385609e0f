"""Victims that misbehave, each in its own way."""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

from priemo_bench.testing import ToyVictim


class Raises(ToyVictim):
    def head(self, f: Tensor) -> Tensor:
        raise RuntimeError("out of luck")


class NotANumber(ToyVictim):
    def head(self, f: Tensor) -> Tensor:
        return super().head(f) * torch.nan


class Infinite(ToyVictim):
    def head(self, f: Tensor) -> Tensor:
        return super().head(f) * torch.inf


class FiveLogits(ToyVictim):
    def head(self, f: Tensor) -> Tensor:
        return super().head(f)[:, :5]


class Fickle(ToyVictim):
    """Other values on every call."""

    calls = 0

    def head(self, f: Tensor) -> Tensor:
        self.calls += 1
        return super().head(f).roll(self.calls, 1)


def no_file() -> nn.Module:
    raise OSError("weights.bin is gone")


def leave() -> nn.Module:
    sys.exit(4)
