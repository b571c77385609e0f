"""Scope image on a few images: steepest descent with momentum in the metric of the budget."""

from __future__ import annotations

import torch
from torch import Tensor

from priemo_bench.attacks.priemo.geometry import clip_to_cap, feasible_set, rms
from priemo_bench.attacks.priemo.quantisation import quantise
from priemo_bench.quality.budget import Budget


class Descent:
    """Perturbations of images (n, c, h, w), moved step by step within the feasible set.

    The feasible set is adapted to the measured quality of the quantised images. As many images as
    fit a cache are moved at once (`structural.blocks`); a surrogate takes more.

    Attributes:
        d: (n, c, h, w) perturbations, 0 where `mask` is.
        quantised: (n, c, h, w) images that have them, on the 8-bit grid.
    """

    def __init__(
        self, x: Tensor, budget: Budget, momentum: float, mask: Tensor | None = None
    ) -> None:
        self.x, self.budget, self.momentum, self.mask = x, budget, momentum, mask
        self.feasible = feasible_set(x, budget)
        self.d, self.quantised = torch.zeros_like(x), x
        self._velocity, self._best = torch.zeros_like(x), torch.zeros_like(x)
        self._best_score = x.new_full((len(x),), torch.inf)

    def step(self, gradient: Tensor, score: Tensor, size: float) -> None:
        """Move `size` radii of the feasible set downhill.

        Args:
            gradient: of the loss at the quantised images. score: (n,) of these, lower is better.
        """
        better = self.feasible.adapt(self.quantised) & (score < self._best_score)
        self._best[better], self._best_score[better] = self.d[better], score[better]
        # exponential mean of normalised gradients; steepest() rescales it
        gradient = self._within(gradient)
        self._velocity.mul_(self.momentum).add_(gradient / rms(gradient).clamp_min(1e-20))
        d = self.d - size * self.feasible.steepest(self._velocity)
        self.d = clip_to_cap(self.feasible.project(self._within(d)), self.budget)
        self.quantised = quantise(self.x + self.d)

    def _within(self, d: Tensor) -> Tensor:
        return d if self.mask is None else d * self.mask

    def best(self, score: Tensor) -> Tensor:
        """`d`, of scores (n,), or an earlier one that kept the floor and had a lower score."""
        return torch.where((self._best_score < score)[:, None, None, None], self._best, self.d)
