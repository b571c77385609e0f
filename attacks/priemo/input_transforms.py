"""Altered views of a face, so that a perturbation does not hang on one recogniser's own pixels."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from priemo_bench.contracts.augmentation import placed

TURN, RESIZE, SHIFT = math.radians(10), 0.1, 0.06
"""Largest turn in radians, change of size, and shift as a share of the side."""
KERNEL = 7
"""Pixels, the side of the kernel of `smooth`."""


def alter(x: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Input diversity: each of (n, c, h, w) with chance `share` turned, resized, moved, mirrored.

    After Xie et al. 2019 ("Improving Transferability of Adversarial Examples with Input
    Diversity", their p), who resize and pad; a face comes mirrored (half of them here) and turned
    as well. Differentiable; `share` 0 returns `x` itself.
    """
    if not share:
        return x
    chosen = torch.rand(len(x), generator=generator) < share
    moved = placed(x, TURN, RESIZE, SHIFT, generator)
    return torch.where(chosen.to(x.device)[:, None, None, None], moved, x)


def smooth(gradient: Tensor, sigma: float) -> Tensor:
    """Translation invariance: the mean gradient of shifted images, as a Gaussian blur of one.

    Dong et al. 2019, "Evading Defenses to Transferable Adversarial Examples by
    Translation-Invariant Attacks", eq. 8. `sigma` in pixels; 0 returns the gradient itself.
    """
    return gaussian_blur(gradient, [KERNEL, KERNEL], [sigma, sigma]) if sigma else gradient
