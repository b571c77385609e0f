"""Scopes class and universal: a perturbation shared by all faces of an emotion, or by all faces.

What is shared is u, the perturbation in the metric of the budget; each image weighs it with its
own M (geometry.py), which needs neither gradient nor label. Without a floor M is just eps
and the perturbation is one array, added and clipped.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from priemo_bench.attacks.priemo.geometry import cut, rms, weights
from priemo_bench.attacks.priemo.image import quantise
from priemo_bench.attacks.priemo.input_transforms import alter
from priemo_bench.attacks.priemo.objective import Objective
from priemo_bench.contracts.image import ByteImages, FloatImages, Labels, publish
from priemo_bench.quality.budget import Budget, match_budget

LEARNING_RATE = 0.1
"""Of Adam, in radii of the body."""


class Pattern(nn.Module):
    """u (count, c, h, w): each image takes that of its group."""

    u: Tensor

    def __init__(self, u: Tensor) -> None:
        super().__init__()
        self.register_buffer("u", u)

    @property
    def shape(self) -> tuple[int, ...]:
        """(c, h, w) of the images it is for."""
        return tuple(self.u.shape[1:])

    def patterns(self, x: Tensor, groups: Tensor) -> Tensor:
        """Images (n, c, h, w) and their groups (n,) to patterns (n or 1, c, h, w), on the CPU."""
        u = self.u.cpu()
        return u if len(u) == 1 else u[groups]


def learn(
    x: Tensor,
    y: Tensor,
    groups: Tensor,
    count: int,
    objective: Objective,
    budget: Budget,
    steps: int,
    batch_size: int,
    diversity: float,
    sharpness: float,
    emphasis: Tensor,
    generator: torch.Generator,
    shown: bool,
) -> Pattern:
    """Fit a u for each group by Adam on random mini-batches of altered faces.

    One array has few faces to learn from and many pixels: faces that it never sees twice alike
    keep it from learning them by heart, and what it learns then holds where a face sits elsewhere.

    Args:
        x: (n, c, h, w) faces; y: (n,) labels or targets; groups: (n,) in 0..count-1.
        steps: mini-batches of `batch_size`, one forward and backward pass each; two with
            `sharpness`.
        diversity: chance that a face is altered before the perturbation is added (views.py).
        sharpness: how far uphill, in radii of the body, the gradient is taken (sharpness-aware
            minimisation, Foret et al. 2021, eq. 2 and 3); 0 takes it where u is.
        emphasis: (n,) weight of each face.
        shown: whether a progress bar is.
    """

    def slope(u: Tensor, faces: Tensor, rows: Tensor) -> Tensor:
        part = u.detach().requires_grad_()
        seen = faces + cut(weights(faces, budget) * part[groups[rows]], budget)
        seen = seen + (quantise(seen) - seen).detach()
        loss = (objective(seen, y[rows])[0] * emphasis[rows]).mean()
        return torch.autograd.grad(loss, part)[0]

    u = torch.zeros(count, *x.shape[1:], device=x.device)
    mean, square = torch.zeros_like(u), torch.zeros_like(u)
    order = torch.empty(0, dtype=torch.long)
    for step in track(range(1, steps + 1), "Pri-EMO", disable=not shown, transient=True):
        if len(order) < batch_size:
            order = torch.cat([order, torch.randperm(len(x), generator=generator)])
        rows, order = order[:batch_size].to(x.device), order[batch_size:]
        faces = alter(x[rows], diversity, generator)
        gradient = slope(u, faces, rows)
        if sharpness:
            uphill = u + sharpness * gradient / rms(gradient).clamp_min(1e-20)
            gradient = slope(uphill, faces, rows)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.99 * square + 0.01 * gradient.square()
        change = (mean / (1 - 0.9**step)) / ((square / (1 - 0.99**step)).sqrt() + 1e-12)
        rate = LEARNING_RATE * (1 - 0.9 * step / steps)
        touched = torch.zeros(count, 1, 1, 1, device=x.device)
        touched[groups[rows].unique()] = 1
        u = project(u - rate * change * touched, budget)
    return Pattern(u)


def project(u: Tensor, budget: Budget) -> Tensor:
    """Shared patterns (count, c, h, w) back into the body, of radius 1."""
    if budget.floor is None:
        return u.clamp(-1, 1)
    return u / rms(u).clamp_min(1)


class Carrier(Protocol):
    """What makes the perturbations: `Pattern`, or a generator."""

    def patterns(self, x: Tensor, groups: Tensor) -> Tensor:
        """Images (n, c, h, w) and their groups (n,) to patterns (n or 1, c, h, w), on the CPU."""
        ...


def add(x: FloatImages, carrier: Carrier, groups: Labels, budget: Budget) -> FloatImages:
    """Images with the perturbation that `carrier` has for them, each landed on the budget.

    Without a floor this is a plain add and clip.
    """
    images = torch.from_numpy(x)
    u = carrier.patterns(images, torch.from_numpy(groups))
    change = cut(weights(images, budget) * u, budget)
    protected = (images + change).clamp_(0, 1).numpy()
    if budget.floor is None:
        return protected
    published: ByteImages = match_budget(publish(x), protected, budget)
    return published.astype(np.float32) / np.float32(255)
