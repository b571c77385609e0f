"""The budget as geometry: perturbations d = clip(M * u, -eps, eps) with u in a plain body.

For a small perturbation d of an image x with window means mu and variances s2,

    1 - SSIM(x, x + d) ~ mean over windows of Var_w(d) / (2 s2 + C2) + mean_w(d)^2 / (2 mu^2 + C1)

(Wang et al. 2004 to second order; C1 = .01^2, C2 = .03^2 on [0, 1]). Without the luminance term a
pixel costs a = sum over the windows that cover it of w / (2 s2 + C2): with m = a^(-1/2) the floor
is the ball mean(u^2) <= 1 for M = m * sqrt(1 - floor). Without a floor, M = eps and the body is
the box |u| <= 1.
"""

from __future__ import annotations

import math
from typing import Protocol

from torch import Tensor

from priemo_bench.quality import C2, Budget, Reference, blur


class Body(Protocol):
    """Where u may lie, and which way is steepest there."""

    def weights(self, x: Tensor) -> Tensor:
        """M: change of each pixel per unit of u, for images (n, c, h, w)."""
        ...

    def steepest(self, gradient: Tensor) -> Tensor:
        """Unit step that raises a loss with this gradient in u most, per image."""
        ...

    def project(self, u: Tensor, radius: Tensor | float = 1.0) -> Tensor:
        """The nearest u inside."""
        ...


class Ball:
    """mean(u^2) <= 1 per image: the SSIM floor."""

    def __init__(self, floor: float) -> None:
        self.scale = math.sqrt(1 - floor)

    def weights(self, x: Tensor) -> Tensor:
        variance = Reference(x).variance
        return self.scale * blur(1 / (2 * variance + C2)).rsqrt()

    def steepest(self, gradient: Tensor) -> Tensor:
        return gradient / rms(gradient).clamp_min(1e-20)

    def project(self, u: Tensor, radius: Tensor | float = 1.0) -> Tensor:
        return u * (radius / rms(u).clamp_min(1e-20)).clamp(max=1)


class Box:
    """|u| <= 1 per pixel: the cap alone."""

    def __init__(self, eps: float) -> None:
        self.eps = eps

    def weights(self, x: Tensor) -> Tensor:
        return x.new_full((1, 1, 1, 1), self.eps)

    def steepest(self, gradient: Tensor) -> Tensor:
        return gradient.sign()

    def project(self, u: Tensor, radius: Tensor | float = 1.0) -> Tensor:
        return u.clamp(-1, 1)


def body(budget: Budget) -> Body:
    """The body of a budget; `budget` has a floor or a cap."""
    if budget.ssim_floor is not None:
        return Ball(budget.ssim_floor)
    assert budget.eps is not None
    return Box(budget.eps)


def rms(u: Tensor) -> Tensor:
    """(n, c, h, w) to (n, 1, 1, 1) root mean square."""
    return u.square().mean((1, 2, 3), keepdim=True).sqrt()


def cut(d: Tensor, budget: Budget) -> Tensor:
    """`d` within the cap, in whole grey levels where the cap has one or more."""
    if budget.eps is None:
        return d
    cap = budget.levels / 255 if budget.levels else budget.eps
    return d.clamp(-cap, cap)
