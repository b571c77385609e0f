"""CWA: surrogates attacked one after another, so that the way between them is a common weakness.

Chen, Zhang, Dong, Yang, Su & Zhu, "Rethinking model ensemble in transfer-based adversarial
attacks", ICLR 2024, arXiv:2303.09105, algorithm 1 (MI-CWA); over spectral views their SSA-CWA.
"""

from __future__ import annotations

from typing import Unpack

import torch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor

from priemo_bench.attacks.base import require_int, require_number
from priemo_bench.attacks.surrogate import Surrogate
from priemo_bench.attacks.transfer.base import TRAITS, Common, Descent, TransferAttack
from priemo_bench.attacks.transfer.spectrum import spectral_view


class CWA(TransferAttack):
    """Common weakness attack.

    Args:
        reverse: size of the reverse step, in eps.
        inner_step: beta, on gradients of l2 norm 1.
        views: spectral views of SSA that each gradient is the mean over; 0 is the image itself.

    See `TransferAttack` for the rest.
    """

    stride = 2.0
    traits = TRAITS
    attack_params = [*TransferAttack.attack_params, "reverse", "inner_step", "views"]

    def __init__(
        self,
        classifier: PyTorchClassifier,
        *,
        reverse: float = 1 / 15,
        inner_step: float = 250.0,
        views: int = 0,
        **common: Unpack[Common],
    ) -> None:
        self.reverse, self.inner_step, self.views = reverse, inner_step, views
        super().__init__(classifier, **common)

    def direction(self, z: Tensor, descent: Descent) -> Tensor:
        backwards = self._gradient(z, descent, descent.surrogates).sign()
        point = descent.inside(z - self.reverse * descent.eps * backwards)
        inner = descent.memory.get("inner", torch.zeros_like(z))
        for surrogate in descent.surrogates:
            gradient = self._gradient(point, descent, [surrogate])
            norm = gradient.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1)
            inner = self.decay * inner + gradient / norm
            point = descent.inside(point + self.inner_step * inner)
        descent.memory["inner"] = inner
        return point - z

    def _gradient(self, z: Tensor, descent: Descent, surrogates: list[Surrogate]) -> Tensor:
        if not self.views:
            return descent.gradient(z, surrogates)
        found = torch.zeros_like(z)
        for _ in range(self.views):
            found += descent.gradient(spectral_view(z, descent), surrogates)
        return found / self.views

    def _check_params(self) -> None:
        super()._check_params()
        require_int(self, "views", low=0)
        require_number(self, "reverse", "inner_step")
