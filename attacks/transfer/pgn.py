"""PGN: the gradient at random neighbours, and at the point that each of their gradients leaves to.

Ge, Liu, Wang, Shang & Liu, "Boosting adversarial transferability by achieving flat local maxima",
NeurIPS 2023, arXiv:2306.05225, algorithm 1: a penalty on the gradient norm, by finite differences.
"""

from __future__ import annotations

from typing import Unpack

import torch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor

from priemo_bench.attacks.base import require_int, require_number
from priemo_bench.attacks.transfer.base import (
    Common,
    Descent,
    TransferAttack,
    scaled,
)


class PGN(TransferAttack):
    """Penalised gradient norm.

    Args:
        samples: neighbours a step; each costs two passes.
        radius: of the neighbourhood, in eps.
        balance: delta of eq. 10, the weight of the gradient at the second point.

    See `TransferAttack` for the rest.

    Example:
        >>> from priemo_bench.attacks.transfer import PGN
        >>> from priemo_bench.testing import toy_classifier, toy_faces
        >>> classifier, (x, y) = toy_classifier(), toy_faces()
        >>> protected = PGN(classifier, eps=24 / 255, samples=3, random_state=0).generate(x)
        >>> round(float(abs(protected - x).max()) * 255)
        24
    """

    attack_params = [*TransferAttack.attack_params, "samples", "radius", "balance"]

    def __init__(
        self,
        classifier: PyTorchClassifier,
        *,
        samples: int = 20,
        radius: float = 3.0,
        balance: float = 0.5,
        **common: Unpack[Common],
    ) -> None:
        self.samples, self.radius, self.balance = samples, radius, balance
        super().__init__(classifier, **common)

    def direction(self, z: Tensor, descent: Descent) -> Tensor:
        found = torch.zeros_like(z)
        for _ in range(self.samples):
            near = z + descent.uniform(z, self.radius * descent.eps)
            first = descent.gradient(near)
            second = descent.gradient(near - descent.step * scaled(first))
            found += (1 - self.balance) * first + self.balance * second
        return found / self.samples

    def _check_params(self) -> None:
        super()._check_params()
        require_int(self, "samples")
        require_number(self, "radius")
        require_number(self, "balance", high=1.0)
