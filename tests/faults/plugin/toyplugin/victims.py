"""Two victims, which attacks may look into."""

from __future__ import annotations

from torch import nn

from toyplugin.logged import Logged


def toy_a() -> nn.Module:
    return Logged("toy-a", 0)


def toy_b() -> nn.Module:
    return Logged("toy-b", 1)
