"""A cloak after Fawkes: features approach those of the most distant emotion, at a bounded DSSIM.

Shan, Wenger, Zhang, Li, Zheng & Zhao, "Fawkes: protecting privacy against unauthorized deep
learning models", USENIX Security 2020, arXiv:2002.08327, eq. 1 to 3 and section 5.2: Adam on
||f(x + d) - f_t||^2 + PENALTY max(DSSIM - rho, 0), DSSIM = (1 - SSIM) / 2, the target being the
class with the most distant features. In the paper the cloak poisons the training of a tracker; here
it evades a trained classifier. The penalty bounds DSSIM only in the mean, so the result is matched
to the budget as that of every attack.
"""

from __future__ import annotations

from typing import Any

import torch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor

from priemo_bench.attacks.cloaks.cloak import Cloak
from priemo_bench.attacks.losses import clip
from priemo_bench.errors import PriemoError
from priemo_bench.quality.budget import Budget, match_budget_tensor

PENALTY = 10.0
"""Weight of the excess of DSSIM over rho, as a share of rho."""
RATE = 0.1
"""Learning rate of Adam, in eps."""


class Fawkes(Cloak):
    """A feature cloak under a DSSIM bound; see `Cloak` for the other arguments.

    Args:
        ssim_floor: SSIM that every published image keeps (both means); rho is (1 - floor) / 2.
        eps: linf bound in (0, 1], or None.
        psnr_floor: PSNR in dB, where ssim_floor is None; the penalty is then of the excess of the
            mean squared error over the floor's.
    """

    attack_params = [*Cloak.attack_params, "ssim_floor", "psnr_floor"]

    def __init__(
        self,
        classifier: PyTorchClassifier,
        ssim_floor: float | None = 0.997,
        eps: float | None = 8 / 255,
        steps: int = 40,
        psnr_floor: float | None = None,
        **params: Any,
    ) -> None:
        self.ssim_floor = ssim_floor
        self.psnr_floor = psnr_floor
        super().__init__(classifier, eps=eps, steps=steps, **params)

    @property
    def budget(self) -> Budget:
        """The budget that every published image keeps."""
        return Budget.of(self.ssim_floor, self.eps, self.psnr_floor)

    def _run(self, x: Tensor, y: Tensor) -> Tensor:
        targets = self._targets(x, y)
        bound = self.eps or 1.0
        delta = torch.zeros_like(x, requires_grad=True)
        adam = torch.optim.Adam([delta], RATE * (self.eps or 8 / 255))
        spent = self.budget.spent(x) if self.budget.floor is not None else None
        for _ in range(self.steps):
            protected = clip(x + delta.clamp(-bound, bound))
            loss = x.new_zeros(())
            for means in self._means:
                distances = means.distances(means.features(protected))
                loss = loss + distances.gather(1, targets[:, None]).sum()
            if spent is not None:  # DSSIM / rho
                loss = loss + PENALTY * (spent(protected) - 1).clamp_min(0).sum()
            delta.grad = torch.autograd.grad(loss, delta)[0]
            adam.step()
        return self._match_budget(x, (x + delta.detach().clamp(-bound, bound)).clamp(0, 1))

    def _match_budget(self, x: Tensor, protected: Tensor) -> Tensor:
        """Protected images on the 8-bit grid that use the budget."""
        original = (x * 255).round().to(torch.uint8)
        change = (protected - original / 255) * 255
        return match_budget_tensor(original, change, self.budget).to(x) / 255

    def _targets(self, x: Tensor, y: Tensor) -> Tensor:
        """(n,) the targets if given, or the classes of the most distant means."""
        if self.targeted:
            return y
        with torch.no_grad():
            distances = torch.stack([m.distances(m.features(x)) for m in self._means]).sum(0)
        return distances.masked_fill(distances.isinf(), -1).scatter(1, y[:, None], -1).argmax(1)

    def _check_budget(self) -> None:
        budget = self.budget  # checks its bounds
        if budget.floor is None and budget.eps is None:
            raise PriemoError("ssim_floor, psnr_floor and eps are all None; give a floor or a cap")
