"""GD-UAP: data-free; maximises the activations of convolutions.

Mopuri, Ganeshan & Babu, "Generalizable data-free objective for crafting universal adversarial
perturbations", TPAMI 2019, arXiv:1801.08092, eq. 3: maximises the sum over layers of log ||a_l||_2,
a_l the positive part of the output of a convolution. With the range prior of section 3.3, inputs
are Gaussian noise around mid-grey, 99.9 % of it within [0, 1]. When pixels saturate at eps, the
perturbation is halved at intervals (section 3.4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from priemo_bench.attacks.losses import clip
from priemo_bench.attacks.surrogate import Surrogate
from priemo_bench.attacks.universal.problem import UniversalProblem

MEAN, STD = 0.5, 0.5 / 3.29
"""Of the range prior."""
BATCH = 32
RATE = 0.01
"""Learning rate of Adam in eps: the paper's 0.1 for its bound of 10."""
HALVING, SATURATED = 50, 0.5
"""Steps between checks of the saturation, and the share of pixels at eps that halves."""


@contextmanager
def activations(model: nn.Module) -> Iterator[list[Tensor]]:
    """A list to which each forward pass appends the outputs of the convolutions of `model`."""
    outputs: list[Tensor] = []

    def append(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        outputs.append(output)

    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    handles = [layer.register_forward_hook(append) for layer in layers]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def negative_activation(surrogate: Surrogate, x: Tensor) -> Tensor:
    """Minus the sum over layers of the log norm of the positive part, over the whole batch.

    For a network without convolutions the layer is its features.
    """
    with activations(surrogate.model) as outputs:
        features, _ = surrogate(x)
    norms = torch.stack([output.relu().norm() for output in outputs or [features]])
    return -norms.clamp_min(1e-12).log().sum()


def fit(problem: UniversalProblem) -> Tensor:
    """(1, c, h, w) within problem.eps; of the problem's faces only number and shape are used."""
    size = problem.batch_size or BATCH
    steps = max(1, problem.passes * len(problem.x) // size)
    delta = problem.initial(random=True)
    adam = torch.optim.Adam([delta], lr=RATE * problem.eps)
    for i in range(steps):
        noise = torch.randn(size, *delta.shape[1:], generator=problem.generator)
        x = (MEAN + STD * noise).clamp(0, 1).to(delta.device)
        delta.grad = _gradient(problem.surrogates, x, delta)
        adam.step()
        delta.clamp_(-problem.eps, problem.eps)
        if (i + 1) % HALVING == 0 and i + 1 < steps - HALVING:
            saturated = (delta.abs() >= problem.eps * (1 - 1e-6)).float().mean()
            if saturated > SATURATED:
                delta /= 2
    return delta.detach()


def _gradient(surrogates: Sequence[Surrogate], x: Tensor, delta: Tensor) -> Tensor:
    variable = delta.detach().requires_grad_()
    losses = [negative_activation(surrogate, clip(x + variable)) for surrogate in surrogates]
    return torch.autograd.grad(torch.stack(losses).mean(), variable)[0]
