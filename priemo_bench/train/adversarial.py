"""The inner maximisation of adversarial training."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def worst_case(net: nn.Module, x: Tensor, y: Tensor, eps: float, steps: int) -> Tensor:
    """PGD on the cross-entropy around `x` (n, c, h, w) in [0, 1] with labels `y` (n,).

    Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks" (ICLR 2018),
    Eq. 2.1 and section 2.1: signed steps of 2.5 eps / steps from a random start within eps. `net`
    is read in evaluation mode and left in the mode it was in.
    """
    was_training = net.training
    net.eval()
    worst = x + (2 * torch.rand(x.shape) - 1).to(x.device) * eps
    for _ in range(steps):
        worst = worst.clamp(0, 1).requires_grad_()
        gradient = torch.autograd.grad(nn.functional.cross_entropy(net(worst), y), worst)[0]
        worst = worst.detach() + 2.5 * eps / steps * gradient.sign()
        worst = x + (worst - x).clamp(-eps, eps)
    net.train(was_training)
    return worst.clamp(0, 1)
