"""Input transformations of transfer attacks: less overfitting to one surrogate's pixels."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from priemo_bench.contracts.augmentation import random_affine

ROTATION, SCALE, SHIFT = math.radians(10), 0.1, 0.06
"""Largest rotation in radians, change of size, and shift as a share of the side."""
KERNEL = 7
"""Side of the kernel of `smooth_gradient`, in pixels."""


def input_diversity(x: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Input diversity: images (n, c, h, w), each transformed with this probability.

    After Xie et al. 2019, "Improving Transferability of Adversarial Examples with Input Diversity"
    (their p), who resize and pad; here faces are rotated, resized, shifted and, half of them,
    mirrored. Differentiable; probability 0 returns `x` itself.
    """
    if not probability:
        return x
    chosen = torch.rand(len(x), generator=generator) < probability
    moved = random_affine(x, ROTATION, SCALE, SHIFT, generator)
    return torch.where(chosen.to(x.device)[:, None, None, None], moved, x)


def smooth_gradient(gradient: Tensor, sigma: float) -> Tensor:
    """Translation invariance: the mean gradient over shifted images, as a Gaussian blur of one.

    Dong et al. 2019, "Evading Defenses to Transferable Adversarial Examples by
    Translation-Invariant Attacks", eq. 8. `sigma` in pixels; 0 returns `gradient` itself.
    """
    return gaussian_blur(gradient, [KERNEL, KERNEL], [sigma, sigma]) if sigma else gradient
