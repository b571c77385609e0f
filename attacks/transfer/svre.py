"""SVRE: the variance between surrogates taken out of the gradient, by an inner loop over them.

Xiong, Lin, Zhang, Hopcroft & He, "Stochastic variance reduced ensemble adversarial attack for
boosting the adversarial transferability", CVPR 2022, arXiv:2111.10752, algorithm 1.
"""

from __future__ import annotations

from typing import Unpack

import torch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor

from priemo_bench.attacks.base import require_int
from priemo_bench.attacks.transfer.base import Common, Descent, TransferAttack, scaled


class SVRE(TransferAttack):
    """Stochastic variance reduced ensemble.

    Args:
        rounds: inner steps a surrogate; each costs one pass of one surrogate.

    See `TransferAttack` for the rest.
    """

    attack_params = [*TransferAttack.attack_params, "rounds"]

    def __init__(
        self, classifier: PyTorchClassifier, *, rounds: int = 4, **common: Unpack[Common]
    ) -> None:
        self.rounds = rounds
        super().__init__(classifier, **common)

    def direction(self, z: Tensor, descent: Descent) -> Tensor:
        models = [[surrogate] for surrogate in descent.surrogates]
        count = len(models)
        own = [descent.gradient(z, model) for model in models]
        mean = torch.stack(own).mean(0)
        point, inner = z, torch.zeros_like(z)
        for _ in range(self.rounds * count):
            k = descent.integer(0, count - 1)
            corrected = descent.gradient(point, models[k]) - (own[k] - mean)
            inner = self.decay * inner + scaled(corrected)
            point = descent.inside(point + descent.step * inner.sign())
        return inner

    def _check_params(self) -> None:
        super()._check_params()
        require_int(self, "rounds")
