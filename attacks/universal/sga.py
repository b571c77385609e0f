"""SGA: stochastic gradient aggregation.

Liu, Zhong, Zhang, Qin & Deng, "Enhancing generalization of universal adversarial perturbation
through gradient aggregation", ICCV 2023, arXiv:2308.06015, algorithm 1: for each large batch, an
inner perturbation goes ROUNDS times over small batches by signed steps; the mean of its gradients
makes one signed step of the outer perturbation. The loss is the clamped cross-entropy of SGD-UAP,
the outer step size a tenth of eps, both as in the paper.

The paper's batches are 250 (large) and 10 (small) of 10,000 faces. Fit sets here are tens of times
smaller, so the large batch is BATCH, PARTS times the small one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from priemo_bench.attacks.universal.minimize import mean_gradient
from priemo_bench.attacks.universal.problem import UniversalProblem
from priemo_bench.attacks.universal.sgd_uap import clamped_cross_entropy

BATCH, PARTS, ROUNDS = 50, 5, 4
STEP = 0.1
"""Step size of both perturbations, in eps."""


def fit(problem: UniversalProblem) -> Tensor:
    """(1, c, h, w) within problem.eps; `problem.passes` counts those of the inner perturbations."""
    clean, delta = problem.clean_outputs(), problem.initial(random=False)
    size = problem.batch_size or BATCH
    for rows in problem.batches(max(1, problem.passes // ROUNDS), size):
        gradient = _aggregated_gradient(problem, delta, rows, clean, max(1, size // PARTS))
        delta = _signed_step(problem, delta, gradient)
    return delta


def _aggregated_gradient(
    problem: UniversalProblem,
    delta: Tensor,
    rows: Tensor,
    clean: list[tuple[Tensor, Tensor]],
    size: int,
) -> Tensor:
    """Sum of the gradients of an inner perturbation from `delta` on small batches of `size`."""
    inner, total = delta, torch.zeros_like(delta)
    for _ in range(ROUNDS):
        order = rows[torch.randperm(len(rows), generator=problem.generator)]
        for small in torch.split(order, size):
            gradient = mean_gradient(problem, inner, small, clean, clamped_cross_entropy)
            total += gradient
            inner = _signed_step(problem, inner, gradient)
    return total


def _signed_step(problem: UniversalProblem, delta: Tensor, gradient: Tensor) -> Tensor:
    """One step of STEP, projected onto the linf ball."""
    return (delta - STEP * problem.eps * gradient.sign()).clamp(-problem.eps, problem.eps)
