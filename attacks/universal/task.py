"""What a universal attack is asked to learn, and the mini-batches it learns from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from priemo_bench.attacks.losses import clip
from priemo_bench.attacks.surrogate import Surrogate


@dataclass(frozen=True)
class View:
    """One surrogate on a mini-batch: what it sees in the faces with the perturbation, and without.

    Attributes:
        features, logits: (n, d) and (n, classes) with it, differentiable.
        clean_features, clean_logits: without it.
        population: (m, d) features, without it, of all faces that it is learned for.
        labels: (n,) emotions to leave, or to reach if `targeted`.
    """

    features: Tensor
    logits: Tensor
    clean_features: Tensor
    clean_logits: Tensor
    population: Tensor
    labels: Tensor
    targeted: bool

    def margin(self) -> Tensor:
        """(n,) how far the logits are from what is asked; negative once it is reached."""
        chosen = self.logits.gather(1, self.labels[:, None])[:, 0]
        other = self.logits.scatter(1, self.labels[:, None], -torch.inf).amax(1)
        return other - chosen if self.targeted else chosen - other


@dataclass(frozen=True)
class Task:
    """Faces that one perturbation is learned for, and how long.

    Attributes:
        x: (n, c, h, w) faces in [0, 1]. labels: (n,) emotions to leave, or to reach if `targeted`.
        eps: linf bound. passes: over the faces, forward and backward, in all.
        batch_size: None for the method's own.
        generator: of the order of the faces and of the first perturbation.
    """

    x: Tensor
    labels: Tensor
    targeted: bool
    surrogates: Sequence[Surrogate]
    eps: float
    passes: int
    batch_size: int | None
    generator: torch.Generator

    def clean(self) -> list[tuple[Tensor, Tensor]]:
        """Features and logits of the faces as they are, per surrogate."""
        with torch.no_grad():
            parts = [[s(x) for x in self.x.split(128)] for s in self.surrogates]
        return [
            (torch.cat([f for f, _ in part]), torch.cat([z for _, z in part])) for part in parts
        ]

    def batches(self, passes: int, size: int) -> Iterator[Tensor]:
        """Rows of the mini-batches of `passes` passes; a pass's last one may be smaller."""
        for _ in range(passes):
            yield from torch.randperm(len(self.x), generator=self.generator).split(size)

    def start(self, random: bool) -> Tensor:
        """(1, c, h, w): zeros, or uniform within eps where nothing pulls away from zero."""
        shape = (1, *self.x.shape[1:])
        if not random:
            return torch.zeros(shape, device=self.x.device)
        draw = torch.rand(shape, generator=self.generator) * 2 - 1
        return self.eps * draw.to(self.x.device)

    def views(
        self, delta: Tensor, rows: Tensor, clean: list[tuple[Tensor, Tensor]]
    ) -> Iterator[View]:
        """What each surrogate sees of the faces in `rows` with `delta`, clipped to [0, 1]."""
        seen = clip(self.x[rows] + delta)
        for surrogate, (features, logits) in zip(self.surrogates, clean, strict=True):
            own = features[rows], logits[rows], features, self.labels[rows]
            yield View(*surrogate(seen), *own, self.targeted)
