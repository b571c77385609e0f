"""GD-UAP: no face is looked at; the perturbation overfills the feature maps.

Mopuri, Ganeshan & Babu, "Generalizable data-free objective for crafting universal adversarial
perturbations", TPAMI 2019, arXiv:1801.08092, eq. 3: sum over layers of log ||a_l||_2 grows, a_l
the positive part of what a convolution puts out. With the range prior of section 3.3 the input is
noise that has no more of photographs than their range: 99.9 % of a Gaussian around mid-grey. Where
pixels saturate at eps the perturbation is halved now and then, as there (section 3.4).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from priemo_bench.attacks.losses import clip
from priemo_bench.attacks.surrogate import Surrogate
from priemo_bench.attacks.universal.descent import Adam
from priemo_bench.attacks.universal.task import Task

MEAN, STD = 0.5, 0.5 / 3.29
"""Of the range prior."""
BATCH = 32
RATE = 0.01
"""Of Adam, in eps: the paper's .1 for its bound of 10."""
HALVING, SATURATED = 50, 0.5
"""Steps between looks at the saturation, and the share of pixels at eps from which it is halved."""


@contextmanager
def activations(model: nn.Module) -> Iterator[list[Tensor]]:
    """The list of what the convolutions of `model` put out, filled by each forward pass."""
    seen: list[Tensor] = []
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    handles = [
        layer.register_forward_hook(lambda _m, _x, out: seen.append(out)) for layer in layers
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def emptiness(surrogate: Surrogate, x: Tensor) -> Tensor:
    """Minus the sum over layers of the log norm of the positive part, over the whole batch.

    A network without convolutions has its features for a layer.
    """
    with activations(surrogate.model) as seen:
        features, _ = surrogate(x)
    norms = torch.stack([layer.relu().norm() for layer in seen or [features]])
    return -norms.clamp_min(1e-12).log().sum()


def learn(task: Task) -> Tensor:
    """(1, c, h, w) within task.eps; of the task's faces only their number and shape count."""
    size = task.batch_size or BATCH
    steps = max(1, task.passes * len(task.x) // size)
    delta, adam = task.start(random=True), Adam(RATE * task.eps)
    for i in range(steps):
        noise = torch.randn(size, *delta.shape[1:], generator=task.generator)
        x = (MEAN + STD * noise).clamp(0, 1).to(delta.device)
        delta = delta.detach().requires_grad_()
        losses = [emptiness(surrogate, clip(x + delta)) for surrogate in task.surrogates]
        gradient = torch.autograd.grad(torch.stack(losses).mean(), delta)[0]
        delta = adam(delta, gradient, i / steps).clamp(-task.eps, task.eps)
        if (i + 1) % HALVING == 0 and i + 1 < steps - HALVING:
            saturated = (delta.abs() >= task.eps * (1 - 1e-6)).float().mean()
            delta = delta / 2 if saturated > SATURATED else delta
    return delta.detach()
