"""A small U-Net from images to perturbations, and how one is fitted: for attacks that generate.

A network learns a few hundred faces by heart, so it never sees one twice as it was: each is
turned, shifted or toned (AUGMENTATION).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import torch
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional as F

from priemo_bench.contracts.augmentation import Augmentation, augment
from priemo_bench.errors import PriemoError
from priemo_bench.quality.ssim import blur

WIDTHS = (32, 64, 64)
"""Channels at a half, a quarter and an eighth of the side."""
GROUPS = 8
BATCH = 32
"""Images read at once at use: what a processor's cache holds."""
WARMUP = 0.05
MUON = 5
"""What the learning rate of kernels is times that of the rest."""
AUGMENTATION = Augmentation(
    equalised=0, rotation=5, scale=0.05, shift=0.04, blurred=0, noisy=0, erased=0
)
CONTRAST = 0.1
"""What an image's deviation from its local mean is divided by before it is read."""


class Residual(nn.Module):
    """x + two 3x3 convolutions of it; normalised by groups, so that no batch is needed."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.GroupNorm(GROUPS, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(GROUPS, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.net(x)
        return out


class UNet(nn.Module):
    """Images to unbounded perturbations.

    Args:
        channels: 1 or 3. size: (h, w) it is fitted at; other images are read at this size, and
            what it gives is enlarged.
    """

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = (8 * math.ceil(size[0] / 8), 8 * math.ceil(size[1] / 8))
        half, quarter, eighth = WIDTHS
        self.enter = nn.Conv2d(8 * channels, half, 3, padding=1)
        self.down = nn.ModuleList(
            [nn.Conv2d(half, quarter, 2, 2), nn.Conv2d(quarter, eighth, 2, 2)]
        )
        self.before = nn.ModuleList([Residual(half), Residual(quarter), Residual(eighth)])
        self.up = nn.ModuleList(
            [nn.ConvTranspose2d(eighth, quarter, 2, 2), nn.ConvTranspose2d(quarter, half, 2, 2)]
        )
        self.after = nn.ModuleList([Residual(eighth), Residual(quarter), Residual(half)])
        self.leave = nn.Conv2d(half, 4 * channels, 3, padding=1)

    @property
    def shape(self) -> tuple[int, ...]:
        """(c,) of the images it is for; their size is free."""
        return (self.leave.out_channels // 4,)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) in [0, 1] to (n, c, h, w)."""
        seen = x
        if x.shape[-2:] != self.size:
            seen = F.interpolate(x, self.size, mode="bilinear", antialias=True)
        pair = torch.cat([2 * seen - 1, (seen - blur(seen)) / CONTRAST], 1)
        first = self.before[0](self.enter(F.pixel_unshuffle(pair, 2)))
        second = self.before[1](self.down[0](first))
        deep = self.after[0](self.before[2](self.down[1](second)))
        deep = self.after[1](second + self.up[0](deep))
        deep = self.after[2](first + self.up[1](deep))
        u = F.pixel_shuffle(self.leave(deep), 2)
        if x.shape[-2:] != self.size:
            u = F.interpolate(u, x.shape[-2:], mode="bilinear")
        return u

    def run(self, x: Tensor) -> Tensor:
        """What it gives for images (n, c, h, w), without gradients, on the CPU."""
        x = x.to(memory_format=torch.channels_last)  # faster to convolve
        with torch.no_grad():
            done = torch.cat([self(part.to(self.leave.weight)).cpu() for part in x.split(BATCH)])
        return done.contiguous()


Net = TypeVar("Net", bound=UNet)


def learn(
    make: Callable[[], Net],
    x: Tensor,
    loss: Callable[[Net, Tensor, Tensor], Tensor],
    steps: int,
    batch_size: int,
    seed: int,
    rate: float,
    shown: bool = False,
) -> Net:
    """Fit a network on random mini-batches of altered faces; frozen.

    By Muon (Jordan et al. 2024) for kernels, as matrices of their first axis by the others, and
    AdamW for the rest.

    Args:
        make: the network, untrained; called after seeding.
        x: (n, c, h, w) faces.
        loss: network, altered faces and their rows in `x` to what is minimised.
        rate: the highest learning rate of AdamW; that of Muon is MUON times as high.
        shown: whether a progress bar is.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = make().to(x.device)
        kernels = [p for p in net.parameters() if p.ndim == 4]
        matrices = [kernel.detach().flatten(1) for kernel in kernels]  # same memory
        muon = torch.optim.Muon(matrices, MUON * rate, weight_decay=0.01)
        adam = torch.optim.AdamW([p for p in net.parameters() if p.ndim < 4], rate)
        for step in track(range(steps), "generator", disable=not shown, transient=True):
            muon.param_groups[0]["lr"] = MUON * rate * _schedule(step, steps)
            adam.param_groups[0]["lr"] = rate * _schedule(step, steps)
            rows = torch.randint(len(x), (batch_size,))
            images = augment(x[rows.to(x.device)].cpu(), AUGMENTATION).to(x.device)
            net.zero_grad()
            loss(net, images, rows).backward()
            for matrix, kernel in zip(matrices, kernels, strict=True):
                matrix.grad = None if kernel.grad is None else kernel.grad.flatten(1)
            muon.step()
            adam.step()
    return net.eval().requires_grad_(False)


def restored(net: Net, state: dict[str, Tensor]) -> Net:
    """The network with saved weights; frozen.

    Raises:
        PriemoError: for weights of another architecture.
    """
    try:
        net.load_state_dict(state)
    except RuntimeError:
        raise PriemoError(
            "the file holds a generator of another architecture than this version's; fit it again"
        ) from None
    return net.eval().requires_grad_(False)


def _schedule(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine, as a share of the rate."""
    return min(1.0, (step + 1) / (WARMUP * steps)) * 0.5 * (1 + math.cos(math.pi * step / steps))
