"""Altered views of a face, so that a perturbation does not hang on one recogniser's own pixels."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample
from torchvision.transforms.functional import gaussian_blur

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
    chance, mirror, turn, size, right, down = torch.rand(6, len(x), generator=generator)
    turn, size = (2 * turn - 1) * TURN, 1 + (2 * size - 1) * RESIZE
    side = torch.where(mirror < 0.5, -1.0, 1.0)
    move = 2 * SHIFT * (2 * torch.stack([right, down], 1) - 1)
    cos, sin = size * turn.cos(), size * turn.sin()
    matrix = torch.stack([side * cos, -sin, move[:, 0], side * sin, cos, move[:, 1]], 1)
    matrix = matrix.view(-1, 2, 3)
    matrix = torch.where((chance < share)[:, None, None], matrix, torch.eye(2, 3))
    grid = affine_grid(matrix.to(x), list(x.shape), align_corners=False)
    return grid_sample(x, grid, padding_mode="border", align_corners=False)


def smooth(gradient: Tensor, sigma: float) -> Tensor:
    """Translation invariance: the mean gradient of shifted images, as a Gaussian blur of one.

    Dong et al. 2019, "Evading Defenses to Transferable Adversarial Examples by
    Translation-Invariant Attacks", eq. 8. `sigma` in pixels; 0 returns the gradient itself.
    """
    return gaussian_blur(gradient, [KERNEL, KERNEL], [sigma, sigma]) if sigma else gradient
