"""TIP-IM: towards one of several targets, whichever is nearest, and away from oneself.

Yang, Dong, Pang, Su, Zhu, Chen & Xue, "Towards face encryption by generating adversarial identity
masks", ICCV 2021, arXiv:2003.06814, eq. 4 and 7: ||f(x + d) - f_t||^2 - ||f(x + d) - f_x||^2 falls
by signed steps with momentum, and each step takes the target of a set that serves best. There a
target is a face of another person; here it is the mean feature of another emotion. The term for
naturalness (MMD) is left out: the budget does its work.
"""

from __future__ import annotations

import torch
from torch import Tensor

from priemo_bench.attacks.cloaks.cloak import Cloak
from priemo_bench.attacks.losses import clip

MOMENTUM = 1.0
STEP = 1.5
"""Of all steps together, in eps."""


class TIPIM(Cloak):
    """Adversarial masks of TIP-IM with emotions for identities; see `Cloak` for the arguments."""

    def _cloak(self, x: Tensor, y: Tensor) -> Tensor:
        with torch.no_grad():
            own = [means.features(x) for means in self._means]
        change, velocity = torch.zeros_like(x), torch.zeros_like(x)
        for _ in range(self.steps):
            seen = clip(x + change).detach().requires_grad_()
            scores = torch.stack(
                [
                    means.distances(features) - (features - before).square().sum(1, keepdim=True)
                    for means, before in zip(self._means, own, strict=True)
                    for features in [means.features(seen)]
                ]
            ).sum(0)
            loss = scores.gather(1, self._towards(scores.detach(), y)[:, None])
            gradient = torch.autograd.grad(loss.sum(), seen)[0]
            size = gradient.abs().mean((1, 2, 3), keepdim=True).clamp_min(1e-20)
            velocity = MOMENTUM * velocity + gradient / size
            change = change - STEP * self.eps / self.steps * velocity.sign()
            change = change.clamp(-self.eps, self.eps)
        return x + change

    def _towards(self, scores: Tensor, y: Tensor) -> Tensor:
        """(n,) the target if given, or the best of the others of all surrogates now."""
        return y if self.targeted else scores.scatter(1, y[:, None], torch.inf).argmin(1)
