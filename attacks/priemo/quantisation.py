"""Perturbed images on the 8-bit grid: differentiable while optimising, and matched to a budget."""

from __future__ import annotations

import torch
from torch import Tensor

from priemo_bench.attacks.priemo.geometry import clip_to_cap, scale_map
from priemo_bench.quality.budget import Budget, match_budget_tensor


def quantise(x: Tensor) -> Tensor:
    """Clipped to [0, 1] and rounded to the 8-bit grid, as floats."""
    return (x.clamp(0, 1) * 255).round() / 255


def perturb(x: Tensor, u: Tensor, budget: Budget) -> Tensor:
    """Images `x` (n, c, h, w) plus the perturbation M * u (see `scale_map`), clipped to the cap."""
    return x + clip_to_cap(scale_map(x, budget) * u, budget)


def perturb_quantised(x: Tensor, u: Tensor, budget: Budget) -> Tensor:
    """`perturb`, quantised; the gradient passes straight through the rounding."""
    perturbed = perturb(x, u, budget)
    return perturbed + (quantise(perturbed) - perturbed).detach()


def match(x: Tensor, protected: Tensor, budget: Budget, grow: bool = True) -> Tensor:
    """Quantised images at the scale of their perturbations that just meets the budget.

    Args:
        x: (n, c, h, w) originals in [0, 1], rounded to the 8-bit grid first.
        protected: (n, c, h, w) in [0, 1]. grow: as for `match_budget`.
    """
    original = (x * 255).round().to(torch.uint8)
    change = (protected - original.to(x.dtype) / 255) * 255
    return match_budget_tensor(original, change, budget, grow).to(x.dtype) / 255
