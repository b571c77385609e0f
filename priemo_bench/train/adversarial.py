"""Projected gradient descent, for adversarial training and for measuring robustness."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def pgd(
    objective: Callable[[Tensor], Tensor],
    start: Tensor,
    project: Callable[[Tensor], Tensor],
    step: float,
    steps: int,
) -> Tensor:
    """Maximise `objective` by signed gradient steps, projected onto the feasible set.

    Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks" (ICLR 2018),
    section 2.1.

    Args:
        objective: images (n, c, h, w) to a scalar.
        start: feasible images.
        project: images to the nearest feasible ones.
        step: change of each value in a step.
    """
    z = start
    for _ in range(steps):
        z = z.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(objective(z), z)
        z = project(z.detach() + step * gradient.sign())
    return z


def worst_case(net: nn.Module, x: Tensor, y: Tensor, eps: float, steps: int) -> Tensor:
    """The inner maximisation of adversarial training: PGD on the cross-entropy, random start.

    Step size 2.5 eps / steps. Madry et al. (ICLR 2018), Eq. 2.1. `net` predicts in evaluation mode
    and keeps its own mode.

    Args:
        x: (n, c, h, w) in [0, 1]. y: (n,) labels. eps: linf bound.
    """

    def project(z: Tensor) -> Tensor:
        return (x + (z - x).clamp(-eps, eps)).clamp(0, 1)

    was_training = net.training
    net.eval()
    start = (x + (2 * torch.rand(x.shape) - 1).to(x.device) * eps).clamp(0, 1)
    worst = pgd(
        lambda z: nn.functional.cross_entropy(net(z), y), start, project, 2.5 * eps / steps, steps
    )
    net.train(was_training)
    return worst
