"""Mini-batch descent of one perturbation within |delta| <= eps, shared by the recipes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from priemo_bench.attacks.universal.task import Task, View

Loss = Callable[[View], Tensor]
"""A surrogate's view of n faces to (n,) values that are to fall."""


class Step(Protocol):
    """One step of an optimiser; `done` is the share of the descent that is over."""

    def __call__(self, delta: Tensor, gradient: Tensor, done: float) -> Tensor: ...


def sign(rate: Callable[[float], float]) -> Step:
    """Steps of one size for all pixels, `rate(done)`."""
    return lambda delta, gradient, done: delta - rate(done) * gradient.sign()


class Adam:
    """Kingma & Ba 2015, of a fixed rate, by torch."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.optimizer: torch.optim.Adam | None = None

    def __call__(self, delta: Tensor, gradient: Tensor, done: float) -> Tensor:
        if self.optimizer is None:
            self.variable = torch.nn.Parameter(delta.clone())
            self.optimizer = torch.optim.Adam([self.variable], self.rate)
        self.variable.data.copy_(delta)
        self.variable.grad = gradient
        self.optimizer.step()
        return self.variable.detach().clone()


def gradient_of(
    task: Task, delta: Tensor, rows: Tensor, clean: list[tuple[Tensor, Tensor]], loss: Loss
) -> Tensor:
    """Gradient at `delta` of the loss, its mean over the faces in `rows` and over surrogates."""
    delta = delta.detach().requires_grad_()
    losses = [loss(view).mean() for view in task.views(delta, rows, clean)]
    return torch.autograd.grad(torch.stack(losses).mean(), delta)[0]


def descend(task: Task, loss: Loss, step: Step, batch_size: int, random: bool = False) -> Tensor:
    """(1, c, h, w) the perturbation after `task.passes` passes over the faces.

    Args:
        batch_size: of the method, unless the task has its own.
        random: whether to start from a random perturbation, where the loss is flat at zero.
    """
    clean, delta = task.clean(), task.start(random)
    batches = list(task.batches(task.passes, task.batch_size or batch_size))
    for i, rows in enumerate(batches):
        gradient = gradient_of(task, delta, rows, clean, loss)
        delta = step(delta, gradient, i / len(batches)).clamp(-task.eps, task.eps)
    return delta
