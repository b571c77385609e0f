"""A cloak like Fawkes: features go to those of the most unlike emotion, at a bounded DSSIM.

Shan, Wenger, Zhang, Li, Zheng & Zhao, "Fawkes: protecting privacy against unauthorized deep
learning models", USENIX Security 2020, arXiv:2002.08327, eq. 1 to 3 and section 5.2: Adam on
||f(x + d) - f_t||^2 + PENALTY max(DSSIM - rho, 0), DSSIM = (1 - SSIM) / 2, the target being the
class whose features are farthest. There the cloak poisons what a tracker trains on; here it evades
a reader that is trained already. Its bound is met in the mean only, so the result is brought under
the budget in the end as every attack's is.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from priemo_bench.attacks.cloaks.cloak import Cloak
from priemo_bench.attacks.losses import clip
from priemo_bench.contracts.image import publish
from priemo_bench.errors import PriemoError
from priemo_bench.quality.budget import Budget, match_budget

PENALTY = 10.0
"""Of the excess of DSSIM, as a share of rho, against squared distances of normalised features."""
RATE = 0.1
"""Of Adam, in eps."""


class Fawkes(Cloak):
    """A feature cloak under a DSSIM bound; see `Cloak` for the other arguments.

    Args:
        ssim_floor: SSIM that every published image keeps (both means); rho is (1 - floor) / 2.
        eps: largest change of a pixel in (0, 1], or None.
        psnr_floor: PSNR in dB, where ssim_floor is None; what is penalised is then the excess of
            the mean squared error over the floor's.
    """

    attack_params = [*Cloak.attack_params, "ssim_floor", "psnr_floor"]

    def __init__(
        self,
        classifier: Any,
        ssim_floor: float | None = 0.997,
        eps: float | None = 8 / 255,
        steps: int = 40,
        psnr_floor: float | None = None,
        **params: Any,
    ) -> None:
        self.ssim_floor = ssim_floor
        self.psnr_floor = psnr_floor
        super().__init__(classifier, eps=eps, steps=steps, **params)  # type: ignore[arg-type]

    @property
    def budget(self) -> Budget:
        """What every published image keeps."""
        return Budget.of(self.ssim_floor, self.eps, self.psnr_floor)

    def _cloak(self, x: Tensor, y: Tensor) -> Tensor:
        towards = self._towards(x, y)
        cap = self.eps or 1.0
        change = torch.zeros_like(x, requires_grad=True)
        adam = torch.optim.Adam([change], RATE * (self.eps or 8 / 255))
        spent = self.budget.spent(x) if self.budget.floor is not None else None
        for _ in range(self.steps):
            seen = clip(x + change.clamp(-cap, cap))
            loss = sum(
                means.distances(means.features(seen)).gather(1, towards[:, None]).sum()
                for means in self._means
            )
            if spent is not None:  # DSSIM / rho
                loss = loss + PENALTY * (spent(seen) - 1).clamp_min(0).sum()
            adam.zero_grad()
            torch.as_tensor(loss).backward(inputs=[change])
            adam.step()
        return self._landed(x, change.detach().clamp(-cap, cap))

    def _landed(self, x: Tensor, change: Tensor) -> Tensor:
        protected = (x + change).clamp(0, 1).cpu().numpy()
        published = match_budget(publish(x.cpu().numpy()), protected, self.budget)
        return torch.from_numpy(published).to(x) / 255

    def _towards(self, x: Tensor, y: Tensor) -> Tensor:
        """(n,) the target if given, or the emotion with the farthest mean, of all surrogates."""
        if self.targeted:
            return y
        with torch.no_grad():
            far = torch.stack([m.distances(m.features(x)) for m in self._means]).sum(0)
        return far.masked_fill(far.isinf(), -1).scatter(1, y[:, None], -1).argmax(1)

    def _check_budget(self) -> None:
        budget = self.budget  # checks its bounds
        if budget.floor is None and budget.eps is None:
            raise PriemoError("ssim_floor, psnr_floor and eps are all None; give a floor or a cap")
