"""A small U-Net from images to perturbations, and its training: for generative attacks.

Trained on augmented faces (AUGMENTATION), because it would overfit a few hundred.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional as F

from priemo_bench.attacks.maps import FeatureMaps, MapShape
from priemo_bench.contracts.augmentation import Augmentation, augment
from priemo_bench.errors import PriemoError
from priemo_bench.quality.structural import blur

GROUPS = 8
INFERENCE_BATCH = 32
"""Images that go through the network at once without gradients: what a processor's cache holds."""
WARMUP = 0.05
"""Share of the steps in which the learning rate rises."""
MUON = 5
"""Learning rate of convolution kernels, as a multiple of that of the other parameters."""
AUGMENTATION = Augmentation(
    equalised=0, rotation=5, scale=0.05, shift=0.04, blurred=0, noisy=0, erased=0
)
CONTRAST = 0.1
"""Divisor of an image's deviation from its local mean, the second input of the network."""


def rounded(size: tuple[int, int]) -> tuple[int, int]:
    """A size (h, w) rounded up to multiples of 8."""
    return 8 * math.ceil(size[0] / 8), 8 * math.ceil(size[1] / 8)


class Residual(nn.Module):
    """Residual block of two 3x3 convolutions with group normalisation."""

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
        channels: 1 or 3.
        size: (h, w) of the training images, rounded up to multiples of 8; other images are resized
            to it, and the output is resized back.
        width: channels at a half of the side, a multiple of 8; twice as many at less.
        bfloat16: convolve in bfloat16 while training, which is faster on processors with matrix
            instructions for it.
        maps: of images of the rounded size, which the network is to read too.
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        width: int = 32,
        bfloat16: bool = False,
        maps: FeatureMaps | None = None,
    ) -> None:
        super().__init__()
        self.size = rounded(size)
        self.mixed = bfloat16
        self.maps = maps
        half, quarter, eighth = width, 2 * width, 2 * width
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
        shapes = maps.shapes if maps else []
        self.levels = [self._level(shape) for shape in shapes]
        self.read = nn.ModuleList(
            [
                nn.Conv2d(shape[0], (half, quarter, eighth)[level], 1)
                for shape, level in zip(shapes, self.levels, strict=True)
            ]
        )
        scores = [maps.scores] * 3 if maps else []
        self.told = nn.ModuleList(map(nn.Linear, scores, (half, quarter, eighth)))

    @property
    def shape(self) -> tuple[int, ...]:
        """(c,) of the images it takes; their size is free."""
        return (self.leave.out_channels // 4,)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) in [0, 1] to (n, c, h, w)."""
        resized = x
        if x.shape[-2:] != self.size:
            resized = F.interpolate(x, self.size, mode="bilinear", antialias=True)
        pair = torch.cat([2 * resized - 1, (resized - blur(resized)) / CONTRAST], 1)
        seen = self.maps(resized) if self.maps else None
        with torch.autocast(x.device.type, torch.bfloat16, self.training and self.mixed):
            u = self._convolved(pair, self._read(*seen) if seen else (0, 0, 0)).float()
        if x.shape[-2:] != self.size:
            u = F.interpolate(u, x.shape[-2:], mode="bilinear")
        return u

    def _level(self, shape: MapShape) -> int:
        """Index of the smallest level that has no fewer rows than a map; of a larger map, 0."""
        fits = [level for level in range(3) if shape[1] <= self.size[0] >> (level + 1)]
        return max(fits, default=0)

    def _read(self, maps: Sequence[Tensor], scores: Tensor) -> list[Tensor]:
        """What is read of maps (n, k, i, j) and scores (n, k), for each level (n, k, h, w)."""
        sums: list[Tensor] = [told(scores)[:, :, None, None] for told in self.told]
        height, width = self.size
        for level, read, found in zip(self.levels, self.read, maps, strict=True):
            size = (height >> (level + 1), width >> (level + 1))
            sums[level] = sums[level] + F.adaptive_avg_pool2d(read(found), size)
        return sums

    def _convolved(self, pair: Tensor, read: Sequence[Tensor | int]) -> Tensor:
        """(n, 2c, *size) image and deviation from its local mean to (n, c, *size)."""
        first = self.before[0](self.enter(F.pixel_unshuffle(pair, 2)) + read[0])
        second = self.before[1](self.down[0](first) + read[1])
        deep = self.after[0](self.before[2](self.down[1](second) + read[2]))
        deep = self.after[1](second + self.up[0](deep))
        deep = self.after[2](first + self.up[1](deep))
        return F.pixel_shuffle(self.leave(deep), 2)

    def run(self, x: Tensor) -> Tensor:
        """Output for images (n, c, h, w), in batches, without gradients, on the device of `x`."""
        weight = self.leave.weight
        images = x.to(memory_format=torch.channels_last)  # faster to convolve
        with torch.no_grad():
            parts = [
                self(part.to(weight)).to(x.device) for part in torch.split(images, INFERENCE_BATCH)
            ]
        return torch.cat(parts).contiguous()


Net = TypeVar("Net", bound=UNet)


def train(
    make: Callable[[], Net],
    x: Tensor,
    loss: Callable[[Net, Tensor, Tensor], Tensor],
    *,
    steps: int,
    batch_size: int,
    rate: float,
    seed: int,
    verbose: bool = False,
) -> Net:
    """Train a network on random mini-batches of augmented faces; returned frozen.

    Muon (Jordan et al. 2024) for convolution kernels, flattened to matrices, and AdamW for the
    rest.

    Args:
        make: the network, untrained; called after seeding.
        x: (n, c, h, w) faces in [0, 1].
        loss: of the network, augmented faces and their rows in `x`: the scalar to minimise.
        rate: peak learning rate of AdamW; that of Muon is MUON times as high.
        verbose: show a progress bar.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = make().to(x.device)
        kernels = [p for p in net.parameters() if p.ndim == 4]
        matrices = [kernel.detach().flatten(1) for kernel in kernels]  # same memory
        optimizers: dict[torch.optim.Optimizer, float] = {
            torch.optim.Muon(matrices, MUON * rate, weight_decay=0.01): MUON * rate,
            torch.optim.AdamW([p for p in net.parameters() if p.ndim < 4], rate): rate,
        }
        for step in track(range(steps), "generator", disable=not verbose, transient=True):
            rows = torch.randint(len(x), (batch_size,))
            images = augment(x[rows.to(x.device)].cpu(), AUGMENTATION).to(x.device)
            net.zero_grad()
            torch.autograd.backward(loss(net, images, rows))
            for matrix, kernel in zip(matrices, kernels, strict=True):
                matrix.grad = None if kernel.grad is None else kernel.grad.flatten(1)
            for optimizer, peak in optimizers.items():
                optimizer.param_groups[0]["lr"] = peak * _schedule(step, steps)
                optimizer.step()
    return net.eval().requires_grad_(False)


def restore(net: Net, state: Mapping[str, Tensor]) -> Net:
    """The network with saved weights, frozen.

    Raises:
        PriemoError: weights of another architecture, or whose output is not finite.
    """
    try:
        net.load_state_dict(state)
    except RuntimeError:
        raise PriemoError(
            "the file holds a generator of another architecture than this version's; fit it again"
        ) from None
    net.eval().requires_grad_(False)
    noise = torch.rand(1, *net.shape, *net.size, generator=torch.Generator().manual_seed(0))
    if not net.run(noise).isfinite().all():
        raise PriemoError("the file holds a generator whose output is not finite; fit it again")
    return net


def _schedule(step: int, steps: int) -> float:
    """Linear warm-up and cosine decay, as a share of the peak learning rate."""
    return min(1.0, (step + 1) / (WARMUP * steps)) * 0.5 * (1 + math.cos(math.pi * step / steps))
