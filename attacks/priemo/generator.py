"""Scope generator: one small network, fitted once, that gives every image its own perturbation.

It is a U-Net from the image to a pattern u in the metric of the budget, weighed by the image's own
M as shared patterns are (geometry.py). At use it needs no gradient, label or victim: one forward
pass and the landing on the budget. The design is ours; the idea of a network that outputs
perturbations is Poursaeed et al., "Generative adversarial perturbations", CVPR 2018,
arXiv:1712.02328.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from priemo_bench.attacks.priemo.geometry import cut, rms, weights
from priemo_bench.attacks.priemo.image import quantise
from priemo_bench.attacks.priemo.objective import Objective
from priemo_bench.attacks.surrogate import reading
from priemo_bench.quality import Budget
from priemo_bench.training.augment import augment
from priemo_bench.training.spec import Augmentation

WIDTHS = (48, 96, 128)
"""Channels at a half, a quarter and an eighth of the side."""
GROUPS = 8
BATCH = 64
"""Images read at once."""
RATE, WARMUP = 2e-3, 0.05
AUGMENTATION = Augmentation(
    equalised=0, rotation=15, scale=0.15, shift=0.1, blurred=0.1, noisy=0.1, erased=0.2
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


class Generator(nn.Module):
    """Images to patterns.

    Args:
        channels: 1 or 3. size: (h, w) it was fitted at; other images are read at this size, and
            their pattern is enlarged.
        bounded: patterns with |u| <= 1, for a budget without an SSIM floor; else of rms 1.
    """

    def __init__(self, channels: int, size: tuple[int, int], bounded: bool) -> None:
        super().__init__()
        self.size = (8 * math.ceil(size[0] / 8), 8 * math.ceil(size[1] / 8))
        self.bounded = bounded
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

    def patterns(self, x: Tensor, groups: Tensor) -> Tensor:
        """Images (n, c, h, w) to patterns of the same shape, on the CPU; `groups` do not matter."""
        with torch.no_grad():
            return torch.cat([self(part.to(self.leave.weight)).cpu() for part in x.split(BATCH)])

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) in [0, 1] to patterns (n, c, h, w)."""
        seen = x
        if x.shape[-2:] != self.size:
            seen = F.interpolate(x, self.size, mode="bilinear", antialias=True)
        smooth = F.avg_pool2d(seen, 7, 1, 3, count_include_pad=False)
        pair = torch.cat([2 * seen - 1, (seen - smooth) / CONTRAST], 1)
        first = self.before[0](self.enter(F.pixel_unshuffle(pair, 2)))
        second = self.before[1](self.down[0](first))
        deep = self.after[0](self.before[2](self.down[1](second)))
        deep = self.after[1](second + self.up[0](deep))
        deep = self.after[2](first + self.up[1](deep))
        u = F.pixel_shuffle(self.leave(deep), 2)
        if x.shape[-2:] != self.size:
            u = F.interpolate(u, x.shape[-2:], mode="bilinear")
        return u.tanh() if self.bounded else u / rms(u).clamp_min(1e-6)


def learn(
    x: Tensor,
    y: Tensor,
    objective: Objective,
    budget: Budget,
    steps: int,
    batch_size: int,
    seed: int,
) -> Generator:
    """Fit a generator by AdamW on random mini-batches of altered faces.

    A network learns a few hundred faces by heart, so it never sees one twice as it was: each is
    turned, shifted, toned or partly hidden (AUGMENTATION), and untargeted its label is what the
    surrogates read in it then.

    Args:
        x: (n, c, h, w) faces; y: (n,) targets, looked at only if targeted.
        steps: mini-batches of `batch_size`: one forward and backward pass each, and one more
            forward pass if untargeted.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Generator(x.shape[1], (x.shape[2], x.shape[3]), budget.ssim_floor is None)
        net = net.to(x.device)
        adam = torch.optim.AdamW(net.parameters(), RATE)
        for step in range(steps):
            for group in adam.param_groups:
                group["lr"] = RATE * _schedule(step, steps)
            rows = torch.randint(len(x), (batch_size,))
            images = augment(x[rows.to(x.device)].cpu(), AUGMENTATION).to(x.device)
            own = y[rows] if objective.targeted else reading(objective.surrogates, images)
            seen = images + cut(weights(images, budget) * net(images), budget)
            seen = seen + (quantise(seen) - seen).detach()
            loss = objective(seen, own)[0].mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
    return net.eval().requires_grad_(False)


def _schedule(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine, as a share of RATE."""
    return min(1.0, (step + 1) / (WARMUP * steps)) * 0.5 * (1 + math.cos(math.pi * step / steps))
