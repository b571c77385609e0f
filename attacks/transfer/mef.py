"""MEF: neighbours that are pushed where the loss was last seen to fall least.

Qiu, Li, Ren, Zhang & He, "Boosting adversarial transferability with low-cost optimization via
maximin expected flatness", arXiv:2405.16181: the worst point near a neighbour is guessed from the
gradients of earlier steps, so that a neighbour costs one pass.
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


class MEF(TransferAttack):
    """Maximin expected flatness.

    Args:
        samples: neighbours a step.
        radius: of the neighbourhood, in eps. push: of a neighbour, in eps.
        inner_decay: of the gradients that it is pushed along.

    See `TransferAttack` for the rest; `steps` are 20 and `decay` is 0.5 unless given.
    """

    attack_params = [
        *TransferAttack.attack_params, "samples", "radius", "push", "inner_decay",
    ]  # fmt: skip

    def __init__(
        self,
        classifier: PyTorchClassifier,
        *,
        samples: int = 20,
        radius: float = 2.0,
        push: float = 0.15,
        inner_decay: float = 0.9,
        **common: Unpack[Common],
    ) -> None:
        self.samples, self.radius, self.push = samples, radius, push
        self.inner_decay = inner_decay
        own: Common = {"steps": 20, "decay": 0.5}
        super().__init__(classifier, **(own | common))

    def direction(self, z: Tensor, descent: Descent) -> Tensor:
        pushes = descent.memory.setdefault("pushes", [torch.zeros_like(z)] * self.samples)
        found = torch.zeros_like(z)
        for k, along in enumerate(pushes):
            near = z + descent.uniform(z, self.radius * descent.eps)
            gradient = descent.gradient(near + self.push * descent.eps * along)
            pushes[k] = scaled(gradient) - self.inner_decay * along
            found += gradient
        return found / self.samples

    def _check_params(self) -> None:
        super()._check_params()
        require_int(self, "samples")
        require_number(self, "radius", "push", "inner_decay")
