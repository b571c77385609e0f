"""TIP-IM: features approach the best of several targets and leave the original ones.

Yang, Dong, Pang, Su, Zhu, Chen & Xue, "Towards face encryption by generating adversarial identity
masks", ICCV 2021, arXiv:2003.06814, eq. 4 and 7: minimises ||f(x + d) - f_t||^2 -
||f(x + d) - f_x||^2 by signed steps with momentum, each towards the target of a set that is best at
the time. In the paper a target is a face of another person; here it is the mean feature of another
emotion. The term for naturalness (MMD) is left out: the budget replaces it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from priemo_bench.attacks.cloaks.cloak import ClassMeans, Cloak
from priemo_bench.attacks.losses import clip

MOMENTUM = 1.0
STEP = 1.5
"""Sum of all step sizes, in eps."""


class TIPIM(Cloak):
    """TIP-IM with emotions in place of identities; see `Cloak` for the arguments."""

    eps: float

    def _run(self, x: Tensor, y: Tensor) -> Tensor:
        with torch.no_grad():
            originals = [means.features(x) for means in self._means]
        delta, velocity = torch.zeros_like(x), torch.zeros_like(x)
        for _ in range(self.steps):
            protected = clip(x + delta).detach().requires_grad_()
            pairs = zip(self._means, originals, strict=True)
            losses = torch.stack([_losses(means, f, protected) for means, f in pairs]).sum(0)
            loss = losses.gather(1, self._targets(losses.detach(), y)[:, None])
            gradient = torch.autograd.grad(loss.sum(), protected)[0]
            norm = gradient.abs().mean((1, 2, 3), keepdim=True).clamp_min(1e-20)
            velocity = MOMENTUM * velocity + gradient / norm
            delta = delta - STEP * self.eps / self.steps * velocity.sign()
            delta = delta.clamp(-self.eps, self.eps)
        return x + delta

    def _targets(self, losses: Tensor, y: Tensor) -> Tensor:
        """(n,) the targets if given, or the other classes of least loss."""
        return y if self.targeted else losses.scatter(1, y[:, None], torch.inf).argmin(1)


def _losses(means: ClassMeans, original: Tensor, x: Tensor) -> Tensor:
    """(n, k) losses of images `x` for each target, from the original features (n, d)."""
    features = means.features(x)
    return means.distances(features) - (features - original).square().sum(1, keepdim=True)
