"""The budget as geometry: perturbations d = cut(M * u) with u in a plain body.

For a small perturbation d of an image x with window means mu and variances s2,

    1 - SSIM(x, x + d) ~ mean over windows of Var_w(d) / (2 s2 + C2) + mean_w(d)^2 / (2 mu^2 + C1)

(Wang et al. 2004 to second order; C1 = .01^2, C2 = .03^2 on [0, 1]). Without the luminance term a
pixel costs a = sum over the windows that cover it of w / (2 s2 + C2): with m = a^(-1/2) the floor
is the ball mean(u^2) <= 1 for M = m * sqrt(1 - floor). Without a floor, M = eps and the body is
the box |u| <= 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from priemo_bench.quality import C2, RADIUS, Budget, Reference, unblur

SINGLE_PRECISION = 1e-3
"""Share of the SSIM drop kept back while it is computed in float32."""


class Ball:
    """mean(u^2) <= radius^2 for each image of a batch: the SSIM floor.

    A floor holds for the mean over all windows and for the mean without the border. `share` is the
    part of the latter in the cost of a pixel, `radius` what second order leaves out; both follow
    the measured SSIM, until both means meet the floor (or the face leaves the border unused).
    """

    def __init__(self, x: Tensor, floor: float) -> None:
        self.drop = (1 - floor) * (1 - SINGLE_PRECISION)
        self.reference = Reference(x)
        inner = torch.zeros_like(x[:1, :1])
        inner[..., RADIUS:-RADIUS, RADIUS:-RADIUS] = 1
        precision = 1 / (2 * self.reference.variance + C2)
        self._inner = unblur(precision * inner / inner.mean())
        self._full = unblur(precision)
        self.share = x.new_full((len(x), 1, 1, 1), 0.5)
        self.radius = x.new_ones(len(x), 1, 1, 1)

    @property
    def weights(self) -> Tensor:
        """M (n, c, h, w): change of each pixel per unit of u."""
        cost = self.share * self._inner + (1 - self.share) * self._full
        return math.sqrt(self.drop) * cost.rsqrt()

    def follow(self, published: Tensor) -> Tensor:
        """Adapt to the SSIM of `published` images; (n,) which of them keep the floor."""
        inner, full = (1 - mean for mean in self.reference.ssim(published))
        worst = torch.maximum(inner, full)
        towards = ((inner - full) / self.drop).clamp(-1, 1)
        self.share = (self.share + 0.1 * towards.view(-1, 1, 1, 1)).clamp(0, 0.9)
        ratio = (self.drop / worst.clamp_min(1e-9)).sqrt().clamp(0.8, 1.25)
        self.radius = (self.radius * ratio.view(-1, 1, 1, 1)).clamp(0.2, 4)
        return worst <= self.drop

    def steepest(self, gradient: Tensor) -> Tensor:
        """Step of length `radius` that raises a loss with this gradient in u most."""
        return self.radius * gradient / rms(gradient).clamp_min(1e-20)

    def project(self, u: Tensor) -> Tensor:
        """The nearest u inside."""
        return u * (self.radius / rms(u).clamp_min(1e-20)).clamp(max=1)


class Box:
    """|u| <= 1 at each pixel: the cap alone. The same calls as `Ball`."""

    def __init__(self, x: Tensor, eps: float) -> None:
        self.weights = x.new_full((1, 1, 1, 1), eps)

    def follow(self, published: Tensor) -> Tensor:
        return torch.ones(len(published), dtype=torch.bool, device=published.device)

    def steepest(self, gradient: Tensor) -> Tensor:
        return gradient.sign()

    def project(self, u: Tensor) -> Tensor:
        return u.clamp(-1, 1)


def body(x: Tensor, budget: Budget) -> Ball | Box:
    """The body of a budget around images `x` (n, c, h, w); it has a floor or a cap."""
    if budget.ssim_floor is not None:
        return Ball(x, budget.ssim_floor)
    assert budget.eps is not None
    return Box(x, budget.eps)


def rms(u: Tensor) -> Tensor:
    """(n, c, h, w) to (n, 1, 1, 1) root mean square."""
    return u.square().mean((1, 2, 3), keepdim=True).sqrt()


def cut(d: Tensor, budget: Budget) -> Tensor:
    """`d` within the cap, in whole grey levels where the cap has one or more."""
    if budget.eps is None:
        return d
    cap = budget.levels / 255 if budget.levels else budget.eps
    return d.clamp(-cap, cap)
