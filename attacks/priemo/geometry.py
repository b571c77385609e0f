"""The budget as geometry: the feasible set of a perturbation d, and its steepest direction.

For a small perturbation d of an image x with window means mu and variances s2,

    1 - SSIM(x, x + d) ~ mean over windows of Var_w(d) / (2 s2 + C2) + mean_w(d)^2 / (2 mu^2 + C1)

(Wang et al. 2004 to second order; C1 = .01^2, C2 = .03^2 on [0, 1]). That is a quadratic form
d'Qd: with B the Gaussian window, Q = D - B'(a - l)B for D = diag(B'a), a = 1 / (2 s2 + C2) and
l = 1 / (2 mu^2 + C1). An SSIM floor is taken as the ellipsoid d'Dd <= 1 - floor, which is exact
where d has no local mean, and whose size is adapted to the measured SSIM. Steepest descent in Q
goes along -Q^-1 g: perturbations concentrate where the image has texture, and low frequencies cost
little. A PSNR floor is an L2 ball, in which steepest descent is plain gradient descent. Without a
floor the cap alone is the L-infinity ball |d| <= eps.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from priemo_bench.quality.budget import SINGLE_PRECISION, Budget, mean_square
from priemo_bench.quality.structural import RADIUS, SSIMReference, blur, unblur

RIDGE = 0.05
"""Least cost of low frequencies in Q, as a share of their cost as contrast."""
ITERATIONS = 2
"""Of conjugate gradients, towards Q^-1 g; more protect no more faces."""


class L2Ball:
    """mean(d^2) <= radius^2 m, with m the mean squared error of the PSNR floor, for each image.

    `radius` (n, 1, 1, 1) compensates rounding: it is adapted to the measured error.
    """

    def __init__(self, x: Tensor, floor: float) -> None:
        self.x = x
        self.allowed = mean_square(floor) * (1 - SINGLE_PRECISION)
        self.radius = x.new_ones(len(x), 1, 1, 1)

    def norm(self, d: Tensor) -> Tensor:
        """(n, 1, 1, 1) norm of `d`; 1 has the mean squared error of the floor."""
        return rms(d).clamp_min(1e-15) / math.sqrt(self.allowed)

    def adapt(self, published: Tensor) -> Tensor:
        """Adapt to the error of `published` images; (n,) which of them keep the floor."""
        error = (published - self.x).square().mean((1, 2, 3))
        self._scale_radius(self.allowed / error.clamp_min(1e-12))
        return error <= self.allowed

    def _scale_radius(self, ratio: Tensor) -> None:
        """By the root of `ratio` (n,), what the floor allows over what was spent."""
        factor = ratio.sqrt().clamp(0.8, 1.25).view(-1, 1, 1, 1)
        self.radius = (self.radius * factor).clamp(0.2, 4)

    def steepest(self, gradient: Tensor) -> Tensor:
        """Step of norm `radius` that raises a loss with this gradient most."""
        direction = gradient / gradient.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-20)
        return self.radius * direction / self.norm(direction)

    def project(self, d: Tensor) -> Tensor:
        """`d` rescaled to the boundary where it is outside."""
        return d * (self.radius / self.norm(d)).clamp(max=1)


class SSIMEllipsoid(L2Ball):
    """d'Dd <= radius^2 (1 - floor) for each image: the SSIM floor.

    A floor holds for the mean over all windows and for the mean without the border.
    `interior_weight` is the share of the latter in D, and `radius` compensates what D and the
    second order leave out. Both are adapted to the measured SSIM until both means meet the floor
    (or the perturbation leaves the border unused).
    """

    def __init__(self, x: Tensor, floor: float) -> None:
        self.drop = (1 - floor) * (1 - SINGLE_PRECISION)
        self.reference = SSIMReference(x)
        interior = torch.zeros_like(x[:1, :1])
        interior[..., RADIUS:-RADIUS, RADIUS:-RADIUS] = 1
        self._interior = interior / interior.mean()
        contrast = 1 / self.reference.contrast / x[0].numel()
        self._diagonals = unblur(contrast), unblur(contrast * self._interior)
        luminance = 1 / self.reference.luminance / x[0].numel()
        self._difference = (1 - RIDGE) * contrast - luminance
        self.interior_weight = x.new_full((len(x), 1, 1, 1), 0.5)
        self.radius = x.new_ones(len(x), 1, 1, 1)
        self._solution: Tensor | None = None
        self._update_metric()

    def _update_metric(self) -> None:
        self._diagonal = torch.lerp(*self._diagonals, self.interior_weight)
        windows = 1 + self.interior_weight * (self._interior - 1)
        self._low_pass = windows * self._difference

    def norm(self, d: Tensor) -> Tensor:
        """(n, 1, 1, 1) norm of `d`; 1 has the SSIM drop of the floor, to second order."""
        return (dot(d * self._diagonal, d).clamp_min(1e-30) / self.drop).sqrt()

    def adapt(self, published: Tensor) -> Tensor:
        """Adapt to the SSIM of `published` images; (n,) which of them keep the floor."""
        interior, full = (1 - mean for mean in self.reference.ssim(published))
        worst = torch.maximum(interior, full)
        excess = ((interior - full) / self.drop).clamp(-1, 1).view(-1, 1, 1, 1)
        self.interior_weight = (self.interior_weight + 0.3 * excess).clamp(0, 1)
        self._scale_radius(self.drop / worst.clamp_min(1e-9))
        self._update_metric()
        return worst <= self.drop

    def steepest(self, gradient: Tensor) -> Tensor:
        """Step of norm `radius` along Q^-1 g.

        By conjugate gradients preconditioned with D, whose first direction is the solution of the
        step before: gradients with momentum turn slowly.
        """
        residual = gradient / gradient.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-20)
        solution, direction = torch.zeros_like(residual), self._solution
        if direction is None:
            direction = residual / self._diagonal
        for k in range(ITERATIONS):
            means, scaled = blur(direction), self._diagonal * direction
            spread = self._low_pass * means
            size = (dot(direction, scaled) - dot(means, spread)).clamp_min(1e-30)
            step = dot(residual, direction) / size
            solution.addcmul_(step, direction)
            if k == ITERATIONS - 1:
                break
            image = scaled.sub_(unblur(spread))
            residual.addcmul_(step, image, value=-1)
            preconditioned = residual / self._diagonal
            direction = preconditioned.sub_(dot(preconditioned, image) / size * direction)
        self._solution = solution
        return super().steepest(solution)


class LinfBall:
    """|d| <= eps: the cap alone. Methods as in `L2Ball`."""

    def __init__(self, eps: float) -> None:
        self.eps = eps

    def adapt(self, published: Tensor) -> Tensor:
        return torch.ones(len(published), dtype=torch.bool, device=published.device)

    def steepest(self, gradient: Tensor) -> Tensor:
        return self.eps * gradient.sign()

    def project(self, d: Tensor) -> Tensor:
        return d.clamp(-self.eps, self.eps)


def feasible_set(x: Tensor, budget: Budget) -> L2Ball | LinfBall:
    """Feasible perturbations of images `x` (n, c, h, w) under a budget with a floor or a cap."""
    if budget.floor is not None:
        return (SSIMEllipsoid if budget.measure == "ssim" else L2Ball)(x, budget.floor)
    assert budget.eps is not None
    return LinfBall(budget.eps)


def scale_map(x: Tensor, budget: Budget) -> Tensor:
    """M of perturbations d = M * u, with u common to several images and mean(u^2) <= 1 or |u| <= 1.

    With an SSIM floor, each image's (B'a)^(-1/2): d has the SSIM drop of the floor where u has no
    local mean. With a PSNR floor, the root of its mean squared error;
    without a floor, eps.

    Returns:
        (n, c, h, w), or (1, 1, 1, 1) where it is the same for all pixels.
    """
    if budget.floor is None:
        assert budget.eps is not None
        return x.new_full((1, 1, 1, 1), budget.eps)
    if budget.measure == "psnr":
        return x.new_full((1, 1, 1, 1), math.sqrt(mean_square(budget.floor)))
    return math.sqrt(1 - budget.floor) * unblur(1 / SSIMReference(x).contrast).rsqrt()


def dot(a: Tensor, b: Tensor) -> Tensor:
    """(n, c, h, w) twice to (n, 1, 1, 1) inner products."""
    products: Tensor = torch.linalg.vecdot(a.flatten(1), b.flatten(1))
    return products.view(-1, 1, 1, 1)


def rms(u: Tensor) -> Tensor:
    """(n, c, h, w) to (n, 1, 1, 1) root mean square."""
    return u.square().mean((1, 2, 3), keepdim=True).sqrt()


def clip_to_cap(d: Tensor, budget: Budget) -> Tensor:
    """`d` clipped to the cap, in whole grey levels where the cap has one or more."""
    if budget.eps is None:
        return d
    cap = budget.levels / 255 if budget.levels else budget.eps
    return d.clamp(-cap, cap)
