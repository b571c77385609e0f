"""The optimisation problem of a universal perturbation: faces, surrogates, bound and passes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from priemo_bench.attacks.losses import clip
from priemo_bench.attacks.surrogate import Surrogate
from priemo_bench.contracts.predict import margin

CLEAN_BATCH = 128
"""Faces per forward pass without gradients."""


@dataclass(frozen=True)
class Outputs:
    """Outputs of one surrogate for a mini-batch, with and without the perturbation.

    Attributes:
        features, logits: (n, d) and (n, classes) with it, differentiable.
        clean_features, clean_logits: without it.
        fit_features: (m, d) clean features of all faces that it is fitted on.
        labels: (n,) labels, or targets if `targeted`.
    """

    features: Tensor
    logits: Tensor
    clean_features: Tensor
    clean_logits: Tensor
    fit_features: Tensor
    labels: Tensor
    targeted: bool

    def margin(self) -> Tensor:
        """(n,) logit margin of the label, negative once misclassified; of the target, negated."""
        own = margin(self.logits, self.labels)
        return -own if self.targeted else own


@dataclass(frozen=True)
class UniversalProblem:
    """What one perturbation is fitted on and for, by any method.

    Attributes:
        x: (n, c, h, w) faces in [0, 1]. labels: (n,) labels, or targets if `targeted`.
        eps: linf bound. passes: over the faces, forward and backward.
        batch_size: None for the method's own.
        generator: of the order of the faces and of a random start.
    """

    x: Tensor
    labels: Tensor
    targeted: bool
    surrogates: Sequence[Surrogate]
    eps: float
    passes: int
    batch_size: int | None
    generator: torch.Generator

    def clean_outputs(self) -> list[tuple[Tensor, Tensor]]:
        """Features and logits of all clean faces, per surrogate."""
        with torch.no_grad():
            parts = [[s(x) for x in torch.split(self.x, CLEAN_BATCH)] for s in self.surrogates]
        return [
            (torch.cat([f for f, _ in part]), torch.cat([z for _, z in part])) for part in parts
        ]

    def batches(self, passes: int, size: int) -> Iterator[Tensor]:
        """Rows of the mini-batches of `passes` passes; the last of a pass may be smaller."""
        for _ in range(passes):
            yield from torch.split(torch.randperm(len(self.x), generator=self.generator), size)

    def initial(self, random: bool) -> Tensor:
        """(1, c, h, w) zeros, or uniform within eps where the gradient at zero vanishes."""
        shape = (1, *self.x.shape[1:])
        if not random:
            return torch.zeros(shape, device=self.x.device)
        uniform = torch.rand(shape, generator=self.generator) * 2 - 1
        return self.eps * uniform.to(self.x.device)

    def outputs(
        self, delta: Tensor, rows: Tensor, clean: list[tuple[Tensor, Tensor]]
    ) -> Iterator[Outputs]:
        """Outputs of each surrogate for the faces in `rows` plus `delta`, clipped to [0, 1]."""
        x = clip(self.x[rows] + delta)
        for surrogate, (features, logits) in zip(self.surrogates, clean, strict=True):
            of_clean = features[rows], logits[rows], features
            yield Outputs(*surrogate(x), *of_clean, self.labels[rows], self.targeted)
