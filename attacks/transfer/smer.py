"""SMER: surrogates one after another in shuffled rounds, with weights learnt on the way.

Tang, Wang, Bin, Dou, Yang & Shen, "Ensemble diversity facilitates adversarial transferability",
CVPR 2024: stochastic mini-batch perturbing, and ensemble reweighing by descent on -log of the loss
of the weighted logits.
"""

from __future__ import annotations

from typing import Unpack

import torch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor

from priemo_bench.attacks.base import require_int, require_number
from priemo_bench.attacks.surrogate import input_gradient
from priemo_bench.attacks.transfer.base import (
    Common,
    Descent,
    TransferAttack,
    scaled,
)


class SMER(TransferAttack):
    """Stochastic mini-batch perturbing with ensemble reweighing.

    Args:
        rounds: through all surrogates, in a new order each.
        rate: of the weights' descent; 0 leaves them alike.

    See `TransferAttack` for the rest.
    """

    attack_params = [*TransferAttack.attack_params, "rounds", "rate"]

    def __init__(
        self,
        classifier: PyTorchClassifier,
        *,
        rounds: int = 4,
        rate: float = 0.02,
        **common: Unpack[Common],
    ) -> None:
        self.rounds, self.rate = rounds, rate
        super().__init__(classifier, **common)

    def direction(self, z: Tensor, descent: Descent) -> Tensor:
        count = len(descent.surrogates)
        weights: Tensor = descent.memory.setdefault("weights", torch.ones(count, device=z.device))
        point, inner = z, torch.zeros_like(z)
        for _ in range(self.rounds):
            for k in torch.randperm(count, generator=descent.generator).tolist():
                gradient = self._weighted(point, descent, k, float(weights[k]))
                if self.rate:
                    weights -= self.rate * self._slope(point, descent, weights)
                inner = self.decay * inner + scaled(gradient)
                point = descent.inside(point + descent.step * inner.sign())
        return inner

    def _weighted(self, z: Tensor, descent: Descent, k: int, weight: float) -> Tensor:
        """Gradient of one surrogate, whose logits are multiplied by its weight."""
        z = z.detach().requires_grad_()
        logits = weight * descent.logits(z, [descent.surrogates[k]])
        return input_gradient(descent.losses(logits), z).detach()

    def _slope(self, z: Tensor, descent: Descent, weights: Tensor) -> Tensor:
        """(k,) gradient of -log of the mean gain of the weighted logits, with weight decay."""
        with torch.no_grad():
            outputs = torch.stack([descent.logits(z, [s]) for s in descent.surrogates])
        with torch.enable_grad():
            own = weights.detach().clone().requires_grad_()
            mean = (own[:, None, None] * outputs).mean(0)
            loss = -torch.log(descent.gains(mean).mean().clamp_min(1e-12))
            (slope,) = torch.autograd.grad(loss, own)
        return slope + DECAY * weights

    def _check_params(self) -> None:
        super()._check_params()
        require_int(self, "rounds")
        require_number(self, "rate")


DECAY = 2e-3
"""Of the weights, as of SGD."""
