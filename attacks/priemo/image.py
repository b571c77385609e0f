"""Scope image: one perturbation for each image, aimed at all surrogates at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from priemo_bench.attacks.priemo.geometry import body, cut, rms
from priemo_bench.attacks.priemo.input_transforms import alter, smooth
from priemo_bench.attacks.priemo.objective import Objective
from priemo_bench.quality.budget import Budget, match_budget

FIRST_STEP, LAST_STEP = 0.5, 0.05
"""Step lengths at the start and the end, in radii of the body."""
LONGER = 4
"""Times as many steps for an image that did not reach its target."""


@dataclass(frozen=True)
class Descent:
    """How an image is optimised; see `PriEMO` for the meaning of each."""

    steps: int
    restarts: int
    momentum: float
    diversity: float
    translation: float
    seed: int


def quantise(x: Tensor) -> Tensor:
    """The 8-bit image that will be published, as floats."""
    return (x.clamp(0, 1) * 255).round() / 255


def protect(x: Tensor, y: Tensor, objective: Objective, budget: Budget, how: Descent) -> Tensor:
    """Published images for `x` (n, c, h, w) on the 8-bit grid with labels or targets `y` (n,).

    An image that is missed when its descent ends starts again, if `how.restarts`. Untargeted it
    may sit in a valley of its own: it goes towards one other emotion after the other, `restarts`
    at most. Targeted it may have had far to go: it takes LONGER times as many steps, once.
    """
    protected = descend(x, y, objective, budget, how)
    if not how.restarts:
        return protected
    rows = objective.missed(protected, y).nonzero()[:, 0]
    if objective.targeted:
        if len(rows):
            longer = replace(how, steps=LONGER * how.steps)
            protected[rows] = descend(x[rows], y[rows], objective, budget, longer)
        return protected
    order = objective.nearest(x[rows], y[rows]) if len(rows) else torch.empty(0, 0)
    for k in range(min(how.restarts, order.shape[1])):
        own = y[rows]
        again = descend(x[rows], own, objective, budget, how, order[:, k])
        missed = objective.missed(again, own)
        protected[rows[~missed]] = again[~missed]
        rows, order = rows[missed], order[missed]
        if not len(rows):
            break
    return protected


def descend(
    x: Tensor,
    y: Tensor,
    objective: Objective,
    budget: Budget,
    how: Descent,
    towards: Tensor | None = None,
) -> Tensor:
    """Steepest descent with momentum in the metric of the budget; see `protect`.

    The loss is read, and its gradient taken, at the rounded image: at an SSIM drop of .003 most
    changes are below two grey levels, and what rounding does to them decides. The body follows what
    that rounded image measures, and the best image that kept the budget is returned. Where
    the loss is read at altered views it does not tell which was best: then the last one is.

    Costs `how.steps` forward and backward passes through every surrogate, and one forward pass.
    """
    shape = body(x, budget)
    d, velocity = torch.zeros_like(x), torch.zeros_like(x)
    best, best_score = x.clone(), x.new_full((len(x),), torch.inf)
    generator = torch.Generator().manual_seed(how.seed)
    for step in range(how.steps):
        seen = quantise(x + d).requires_grad_()
        loss, score = objective(alter(seen, how.diversity, generator), y, towards)
        gradient = smooth(torch.autograd.grad(loss.sum(), seen)[0], how.translation)
        seen = seen.detach()
        better = shape.follow(seen) & (score < best_score)
        best[better], best_score[better] = seen[better], score[better]
        # an exponential mean of gradients of one size; steepest() takes care of the rest
        velocity = how.momentum * velocity + gradient / rms(gradient).clamp_min(1e-20)
        length = FIRST_STEP + (LAST_STEP - FIRST_STEP) * step / max(how.steps - 1, 1)
        d = cut(shape.project(d - length * shape.steepest(velocity)), budget)
    last = _land(x, d, budget)
    if how.diversity:
        return last
    with torch.no_grad():
        better = objective(last, y, towards)[1] < best_score
    best[better] = last[better]
    return _land(x, best - x, budget, grow=False)  # the body measured in single precision


def _land(x: Tensor, d: Tensor, budget: Budget, grow: bool = True) -> Tensor:
    """`x + d` published at the strength that lands on the budget."""
    published = (x * 255).round().to(torch.uint8).cpu().numpy()
    protected = (x + d).clamp(0, 1).cpu().numpy()
    matched = match_budget(published, protected, budget, grow)
    return torch.from_numpy(matched).to(x.device, x.dtype) / 255
