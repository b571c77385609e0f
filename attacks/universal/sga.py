"""SGA: stochastic gradient aggregation.

Liu, Zhong, Zhang, Qin & Deng, "Enhancing generalization of universal adversarial perturbation
through gradient aggregation", ICCV 2023, arXiv:2308.06015, algorithm 1: inside each large batch a
perturbation of its own goes ROUNDS times over small batches by signed steps; the mean of the
gradients met on the way makes one signed step of the outer perturbation. The loss is the clamped
cross-entropy of SGD-UAP, the outer step a tenth of eps, both as there.

The paper's batches are 250 large and 10 small, of 10,000 faces. Fit sets here are tens of times
smaller, so the large batch is BATCH, PARTS times the small one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from priemo_bench.attacks.universal.descent import gradient_of
from priemo_bench.attacks.universal.sgd_uap import clamped
from priemo_bench.attacks.universal.task import Task

BATCH, PARTS, ROUNDS = 50, 5, 4
STEP = 0.1
"""Of both perturbations, in eps."""


def learn(task: Task) -> Tensor:
    """(1, c, h, w) within task.eps; `task.passes` counts those of the inner perturbations."""
    clean, delta = task.clean(), task.start(random=False)
    size = task.batch_size or BATCH
    small = max(1, size // PARTS)
    for rows in task.batches(max(1, task.passes // ROUNDS), size):
        delta = delta - STEP * task.eps * _aggregated(task, delta, rows, clean, small).sign()
        delta = delta.clamp(-task.eps, task.eps)
    return delta


def _aggregated(
    task: Task, delta: Tensor, rows: Tensor, clean: list[tuple[Tensor, Tensor]], size: int
) -> Tensor:
    """Sum of the gradients that a perturbation from `delta` on meets on batches of `size`."""
    inner, total = delta, torch.zeros_like(delta)
    for _ in range(ROUNDS):
        order = rows[torch.randperm(len(rows), generator=task.generator)]
        for small in order.split(size):
            gradient = gradient_of(task, inner, small, clean, clamped)
            total += gradient
            inner = (inner - STEP * task.eps * gradient.sign()).clamp(-task.eps, task.eps)
    return total
