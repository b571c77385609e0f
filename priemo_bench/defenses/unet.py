"""A small residual U-Net, the network of the learned purifiers.

It works on half the resolution, where four pixels are four channels (FFDNet: Zhang, Zuo & Zhang
2018, arXiv:1710.04026), and takes images of any size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GROUPS = 8
EMBEDDING = 64
"""Numbers that stand for a step of a diffusion."""


class Block(nn.Module):
    """Two 3 x 3 convolutions, added to their input; with `timed`, normalised and scaled between.

    Without norm, bias and step it is homogeneous: twice the input gives twice the output.
    """

    def __init__(self, width: int, bias: bool, timed: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=bias)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=bias)
        self.norm = nn.GroupNorm(GROUPS, width) if timed else None
        self.film = nn.Linear(EMBEDDING, 2 * width) if timed else None

    def forward(self, x: Tensor, step: Tensor | None) -> Tensor:
        """(n, width, h, w) and (n, EMBEDDING), if timed, to (n, width, h, w)."""
        inner = self.first(x)
        if self.norm is not None and self.film is not None:
            scale, shift = self.film(step)[..., None, None].chunk(2, 1)
            inner = self.norm(inner) * (1 + scale) + shift
        out: Tensor = x + self.second(F.relu(inner))
        return out


class UNet(nn.Module):
    """Images to images of the same shape; before training, to zeros.

    Args:
        channels: of the images.
        widths: channels at a half of the side, a quarter, and so on.
        bias: without it (Mohan et al. 2020, arXiv:1906.05478) the map is homogeneous and zeros
            give zeros.
        timed: whether it also takes the step of a diffusion.
    """

    def __init__(
        self, channels: int, widths: Sequence[int], bias: bool = True, timed: bool = False
    ) -> None:
        super().__init__()
        self.multiple = 2 ** len(widths)
        self.enter = nn.Conv2d(4 * channels, widths[0], 3, padding=1, bias=bias)
        self.before = nn.ModuleList(Block(w, bias, timed) for w in widths)
        self.after = nn.ModuleList(Block(w, bias, timed) for w in widths)
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, 2, bias=bias) for a, b in pairs)
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2, bias=bias) for a, b in pairs)
        self.leave = nn.Conv2d(widths[0], 4 * channels, 3, padding=1, bias=bias)
        nn.init.zeros_(self.leave.weight)
        if self.leave.bias is not None:
            nn.init.zeros_(self.leave.bias)
        self.embed = nn.Sequential(nn.Linear(EMBEDDING, EMBEDDING), nn.SiLU()) if timed else None

    def forward(self, x: Tensor, step: Tensor | None = None) -> Tensor:
        """(n, channels, h, w), and (n,) steps if timed, to (n, channels, h, w)."""
        h, w = x.shape[-2:]
        padding = (0, -w % self.multiple, 0, -h % self.multiple)
        x = F.pad(x, padding, "replicate") if any(padding) else x
        embedded = None
        if self.embed is not None:
            assert step is not None
            embedded = self.embed(_waves(step).to(x.dtype))
        x = self.enter(F.pixel_unshuffle(x, 2))
        kept = []
        for i, block in enumerate(self.before):
            x = block(self.down[i - 1](x) if i else x, embedded)
            kept.append(x)
        for i in reversed(range(len(self.after))):
            if i < len(self.up):
                x = kept[i] + self.up[i](x)
            x = self.after[i](x, embedded)
        out: Tensor = F.pixel_shuffle(self.leave(x), 2)[..., :h, :w]
        return out


def _waves(step: Tensor) -> Tensor:
    """(n,) steps to (n, EMBEDDING) sines and cosines (Ho, Jain & Abbeel 2020), in float64."""
    half = EMBEDDING // 2
    rates = torch.exp(-math.log(1000) * torch.arange(half, device=step.device) / half).double()
    angles = step.double()[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)
