"""AdaEA: surrogates weighted by how far their steps carry to the others, where they agree.

Chen, Yin, Chen, Chen & Liu, "An adaptive model ensemble adversarial attack for boosting adversarial
transferability", ICCV 2023, arXiv:2308.02897, eqs. 5 to 10.
"""

from __future__ import annotations

from itertools import combinations
from typing import Unpack

import torch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor
from torch.nn.functional import cosine_similarity

from priemo_bench.attacks.base import require_number
from priemo_bench.attacks.surrogate import input_gradient
from priemo_bench.attacks.transfer.base import TRAITS, Common, Descent, TransferAttack


class AdaEA(TransferAttack):
    """Adaptive ensemble attack: gradient modulation, and a filter of disparate pixels.

    Args:
        sharpness: beta of eq. 7, of the weights.
        agreement: eta of eq. 9: pixels whose gradients have a lower mean cosine are left alone.

    See `TransferAttack` for the rest.
    """

    traits = TRAITS
    attack_params = [*TransferAttack.attack_params, "sharpness", "agreement"]

    def __init__(
        self,
        classifier: PyTorchClassifier,
        *,
        sharpness: float = 10.0,
        agreement: float = -0.3,
        **common: Unpack[Common],
    ) -> None:
        self.sharpness, self.agreement = sharpness, agreement
        super().__init__(classifier, **common)

    def direction(self, z: Tensor, descent: Descent) -> Tensor:
        own = [descent.gradient(z, [surrogate]) for surrogate in descent.surrogates]
        weights = self._weights(z, own, descent)
        z = z.detach().requires_grad_()
        outputs = torch.stack([descent.logits(z, [s]) for s in descent.surrogates])
        logits = (outputs * weights[:, :, None]).sum(0)
        return input_gradient(descent.losses(logits), z).detach() * self._agreeing(own)

    def _weights(self, z: Tensor, own: list[Tensor], descent: Descent) -> Tensor:
        """(k, n): what the others lose by each one's step, each over what it loses by its own."""
        models = [[surrogate] for surrogate in descent.surrogates]
        with torch.no_grad():
            points = [descent.inside(z + descent.step * gradient.sign()) for gradient in own]
            losses = torch.stack([
                torch.stack([descent.gains(descent.logits(point, model)) for model in models])
                for point in points
            ])  # fmt: skip
        ratios = losses / losses.diagonal().T.clamp_min(1e-8)
        ratios.diagonal().zero_()
        return torch.softmax(self.sharpness * ratios.sum(1), 0)

    def _agreeing(self, own: list[Tensor]) -> Tensor:
        """(n, 1, h, w): 1 where the colour gradients of the surrogates agree, 0 elsewhere."""
        pairs = [cosine_similarity(a, b, dim=1, eps=1e-8) for a, b in combinations(own, 2)]
        mean: Tensor = torch.stack(pairs or [torch.ones_like(own[0][:, 0])]).mean(0)
        return (mean >= self.agreement).to(own[0].dtype)[:, None]

    def _check_params(self) -> None:
        super()._check_params()
        require_number(self, "sharpness")
        require_number(self, "agreement", low=-1.0, high=1.0)
