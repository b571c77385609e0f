"""Mini-batch minimisation over one perturbation within |delta| <= eps."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from priemo_bench.attacks.universal.problem import Outputs, UniversalProblem

LossFunction = Callable[[Outputs], Tensor]
"""Outputs of a surrogate for n faces to (n,) values to minimise."""


class SignSGD(torch.optim.Optimizer):
    """Signed gradient steps of one size for all pixels, as in FGSM."""

    def __init__(self, params: Iterable[Tensor], lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: object = None) -> None:  # type: ignore[override]
        """One step; there is no closure to evaluate."""
        for group in self.param_groups:
            for param in group["params"]:
                param.sub_(group["lr"] * param.grad.sign())


def mean_gradient(
    problem: UniversalProblem,
    delta: Tensor,
    rows: Tensor,
    clean: list[tuple[Tensor, Tensor]],
    loss: LossFunction,
) -> Tensor:
    """Gradient at `delta` of the loss, averaged over the faces in `rows` and over surrogates."""
    delta = delta.detach().requires_grad_()
    losses = [loss(outputs).mean() for outputs in problem.outputs(delta, rows, clean)]
    return torch.autograd.grad(torch.stack(losses).mean(), delta)[0]


def minimize(
    problem: UniversalProblem,
    loss: LossFunction,
    optimizer_class: type[SignSGD] | type[torch.optim.Adam],
    lr: float,
    batch_size: int,
    decay: float = 1.0,
    random_start: bool = False,
) -> Tensor:
    """The perturbation (1, c, h, w) after `problem.passes` passes over the faces.

    Args:
        lr: learning rate, in pixel values. decay: factor of it, ten times over the fit.
        batch_size: the method's, unless the problem has its own.
        random_start: from a random perturbation, where the gradient at zero vanishes.
    """
    clean, delta = problem.clean_outputs(), problem.initial(random_start)
    optimizer = optimizer_class([delta], lr=lr)
    batches = list(problem.batches(problem.passes, problem.batch_size or batch_size))
    for i, rows in enumerate(batches):
        optimizer.param_groups[0]["lr"] = lr * decay ** (10 * (i / len(batches)))
        delta.grad = mean_gradient(problem, delta, rows, clean, loss)
        optimizer.step()
        delta.clamp_(-problem.eps, problem.eps)
    return delta.detach()
