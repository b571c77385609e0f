"""Scope generator: one small network, fitted once, that gives every image its own perturbation.

It is a U-Net from the image to a pattern u in the metric of the budget, weighed by the image's own
M as shared patterns are (geometry.py). At use it needs no gradient, label or victim: one forward
pass and the landing on the budget. The design is ours; the idea of a network that outputs
perturbations is Poursaeed et al.'s (see gap.py, the baseline).
"""

from __future__ import annotations

from torch import Tensor

from priemo_bench.attacks import unet
from priemo_bench.attacks.priemo.geometry import cut, rms, weights
from priemo_bench.attacks.priemo.image import quantise
from priemo_bench.attacks.priemo.objective import Objective
from priemo_bench.attacks.surrogate import reading
from priemo_bench.quality.budget import Budget

RATE = 2e-3


class Generator(unet.UNet):
    """Images to patterns.

    Args:
        channels, size: as for `UNet`.
        bounded: patterns with |u| <= 1, for a budget without a floor; else of rms 1.
    """

    def __init__(self, channels: int, size: tuple[int, int], bounded: bool) -> None:
        super().__init__(channels, size)
        self.bounded = bounded

    def patterns(self, x: Tensor, groups: Tensor) -> Tensor:
        """Images (n, c, h, w) to patterns of the same shape, on the CPU; `groups` do not matter."""
        return self.run(x)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) in [0, 1] to patterns (n, c, h, w)."""
        u = super().forward(x)
        return u.tanh() if self.bounded else u / rms(u).clamp_min(1e-6)


def learn(
    x: Tensor,
    y: Tensor,
    objective: Objective,
    budget: Budget,
    steps: int,
    batch_size: int,
    emphasis: Tensor,
    seed: int,
    shown: bool,
) -> Generator:
    """Fit a generator on altered faces; untargeted, the label of one is what is read in it then.

    Args:
        x: (n, c, h, w) faces; y: (n,) targets, looked at only if targeted.
        steps: mini-batches of `batch_size`: one forward and backward pass each, and one more
            forward pass if untargeted.
        emphasis: (n,) weight of each face.
        shown: whether a progress bar is.
    """

    def loss(net: Generator, images: Tensor, rows: Tensor) -> Tensor:
        own = y[rows] if objective.targeted else reading(objective.surrogates, images)
        seen = images + cut(weights(images, budget) * net(images), budget)
        seen = seen + (quantise(seen) - seen).detach()
        return (objective(seen, own)[0] * emphasis[rows]).mean()

    def make() -> Generator:
        return Generator(x.shape[1], (x.shape[2], x.shape[3]), budget.floor is None)

    return unet.learn(make, x, loss, steps, batch_size, seed, RATE, shown)
