"""What the scopes class, universal and generator share: `fit` on mini-batches, and `apply`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from priemo_bench.attacks.base import require_int, require_number
from priemo_bench.attacks.priemo.attack import PriEMO
from priemo_bench.attacks.priemo.objective import Objective
from priemo_bench.attacks.priemo.quantisation import match, perturb
from priemo_bench.contracts.image import FloatImages, check_images
from priemo_bench.errors import PriemoError

MINI_BATCH = 32
"""Most faces in a training step."""


@dataclass(frozen=True)
class FitSet:
    """Faces to fit on, all tensors on one device.

    Attributes:
        x: (n, c, h, w) in [0, 1]. labels: (n,) labels or targets.
        groups: (n,) index of the perturbation that each face gets.
        weights: (n,) of each face in the loss, of mean 1.
    """

    x: Tensor
    labels: Tensor
    groups: Tensor
    weights: Tensor


class FittedPriEMO(PriEMO):
    """Base of scopes that learn perturbations u in the metric of the budget (see `scale_map`).

    Subclasses set `steps` and `balance` in their constructor, and implement `_train`,
    `_normalised` and `_image_shape`, `_state` and `_restore`.
    """

    steps: int | None
    balance: float

    def apply(self, x: FloatImages, y: object | None = None) -> FloatImages:
        return self._applied(check_images(x), y)

    def _applied(
        self, x: FloatImages, y: object | None, mask: FloatImages | None = None
    ) -> FloatImages:
        """`apply` within a mask."""
        shape = self._image_shape
        if shape is None:
            raise PriemoError("apply() needs a fitted perturbation: call fit() first")
        if x.shape[1 : 1 + len(shape)] != shape:
            raise PriemoError(f"x has images of {x.shape[1:]}; the perturbation is for {shape}")
        images = torch.tensor(x)
        batches = zip(
            torch.split(images, self.batch_size),
            torch.split(self._groups(images, y), self.batch_size),
            strict=True,
        )
        masks = torch.split(
            torch.ones(len(x)) if mask is None else torch.from_numpy(mask), self.batch_size
        )
        device = self._device
        parts = [
            self._add(part.to(device), rows.to(device), None if mask is None else own.to(device))
            for (part, rows), own in zip(batches, masks, strict=True)
        ]
        return np.concatenate([part.cpu().numpy() for part in parts])

    def _add(self, x: Tensor, groups: Tensor, mask: Tensor | None = None) -> Tensor:
        """Images with their perturbations; with a floor, published at the scale that meets it."""
        protected = perturb(x, self._normalised(x, groups), self.budget).clamp(0, 1)
        if mask is not None:
            protected = torch.where(mask > 0, protected, x)
        return protected if self.budget.floor is None else match(x, protected, self.budget)

    def _protect(
        self, x: FloatImages, y: object | None, mask: FloatImages | None = None
    ) -> FloatImages:
        return self._applied(x, y, mask)

    def _fit_perturbation(
        self, x: Tensor, labels: Tensor, predicted: Tensor, objective: Objective
    ) -> None:
        emotions = predicted if self.targeted else labels
        groups, weights = self._fit_groups(labels, emotions), sample_weights(emotions, self.balance)
        self._train(FitSet(x, labels, groups, weights), objective)
        protected = self.apply(x.cpu().numpy(), emotions.cpu().numpy())
        after = self._predict(torch.from_numpy(protected))
        fooled = after == labels if self.targeted else after != predicted
        self.fooling_rate = float(fooled.float().mean())

    def _fit_groups(self, labels: Tensor, emotions: Tensor) -> Tensor:
        """(n,) index of the perturbation that each face of a fit is for."""
        if self.targeted and len(set(labels.tolist())) > 1:
            raise PriemoError(f"scope {self.scope} learns one target: give the same for all")
        return torch.zeros_like(labels)

    def _groups(self, x: Tensor, y: object | None) -> Tensor:
        """(n,) index of the perturbation that each of images `x` gets."""
        return torch.zeros(len(x), dtype=torch.long)

    def _batch(self, n: int) -> int:
        """Faces in a training step, of `n`."""
        return min(self.batch_size, MINI_BATCH, n)

    def _n_steps(self, n: int) -> int:
        """Training steps on `n` faces."""
        assert self.steps is not None
        return max(1, self.steps * n // self._batch(n))

    def _train(self, data: FitSet, objective: Objective) -> None:
        """Learn the perturbation."""
        raise NotImplementedError

    def _normalised(self, x: Tensor, groups: Tensor) -> Tensor:
        """u (n or 1, c, h, w) of images (n, c, h, w) in groups (n,), without a gradient."""
        raise NotImplementedError

    @property
    def _image_shape(self) -> tuple[int, ...] | None:
        """(c, h, w) of the images that it is fitted for, (c,) for any size, None before `fit`."""
        raise NotImplementedError

    def _check_params(self) -> None:
        super()._check_params()
        if self.steps is not None:
            require_int(self, "steps")
        require_number(self, "balance", high=1)


def sample_weights(emotions: Tensor, balance: float) -> Tensor:
    """(n,) weights of mean 1 for faces of emotions (n,): their number to the power -balance."""
    counts = torch.bincount(emotions)[emotions]
    weights = counts.float() ** -balance
    return weights / weights.mean()
