"""The budget as geometry: where a perturbation d may lie, and which way is steepest there.

For a small perturbation d of an image x with window means mu and variances s2,

    1 - SSIM(x, x + d) ~ mean over windows of Var_w(d) / (2 s2 + C2) + mean_w(d)^2 / (2 mu^2 + C1)

(Wang et al. 2004 to second order; C1 = .01^2, C2 = .03^2 on [0, 1]). That is a quadratic form
d'Qd: with B the Gaussian window, Q = diag(B'a) - B'(a - l)B for a = 1 / (2 s2 + C2) and
l = 1 / (2 mu^2 + C1). A floor is the ellipsoid d'Qd <= 1 - floor, and steepest descent in it goes
along -Q^-1 g: texture hides what flat skin shows, and what is smooth over a window costs little.
Without a floor the cap alone is the box |d| <= eps. A floor of PSNR is the ball of its mean squared
error: there steepest is plain L2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from priemo_bench.quality.budget import SINGLE_PRECISION, Budget, mean_square
from priemo_bench.quality.ssim import C1, C2, RADIUS, SSIMReference, blur, unblur

RIDGE = 0.05
"""What smooth changes cost at least, as a share of what they would cost as contrast."""
ITERATIONS = 3
"""Of conjugate gradients, towards Q^-1 g."""


class Ball:
    """mean(d^2) <= radius^2 of the PSNR floor, for each image of a batch.

    `radius` is what rounding leaves or takes; it follows the measured error.
    """

    def __init__(self, x: Tensor, floor: float) -> None:
        self.x = x
        self.allowed = mean_square(floor) * (1 - SINGLE_PRECISION)
        self.radius = x.new_ones(len(x), 1, 1, 1)

    def length(self, d: Tensor) -> Tensor:
        """(n, 1, 1, 1) of `d`; 1 has the mean squared error of the floor."""
        return rms(d).clamp_min(1e-15) / math.sqrt(self.allowed)

    def follow(self, published: Tensor) -> Tensor:
        """Adapt to the error of `published` images; (n,) which of them keep the floor."""
        error = (published - self.x).square().mean((1, 2, 3))
        self._adapt(self.allowed / error.clamp_min(1e-12))
        return error <= self.allowed

    def _adapt(self, room: Tensor) -> None:
        """`room` (n,) is what the floor allows over what was spent."""
        ratio = room.sqrt().clamp(0.8, 1.25).view(-1, 1, 1, 1)
        self.radius = (self.radius * ratio).clamp(0.2, 4)

    def steepest(self, gradient: Tensor) -> Tensor:
        """Step of length `radius` that raises a loss with this gradient most."""
        along = gradient / gradient.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-20)
        return self.radius * along / self.length(along)

    def project(self, d: Tensor) -> Tensor:
        """`d` shortened to the boundary where it is outside."""
        return d * (self.radius / self.length(d)).clamp(max=1)


class Ellipsoid(Ball):
    """d'Qd <= radius^2 (1 - floor) for each image of a batch: the SSIM floor.

    A floor holds for the mean over all windows and for the mean without the border. `share` is the
    part of the latter in Q, `radius` what second order leaves out; both follow the measured SSIM,
    until both means meet the floor (or the face leaves the border unused).
    """

    def __init__(self, x: Tensor, floor: float) -> None:
        self.drop = (1 - floor) * (1 - SINGLE_PRECISION)
        self.reference = SSIMReference(x)
        inner = torch.zeros_like(x[:1, :1])
        inner[..., RADIUS:-RADIUS, RADIUS:-RADIUS] = 1
        self._inner = inner / inner.mean()
        self._contrast = 1 / (2 * self.reference.variance + C2) / x[0].numel()
        self._luminance = 1 / (2 * self.reference.mean**2 + C1) / x[0].numel()
        self.share = x.new_full((len(x), 1, 1, 1), 0.5)
        self.radius = x.new_ones(len(x), 1, 1, 1)
        self._weigh()

    def _weigh(self) -> None:
        windows = self.share * self._inner + (1 - self.share)
        self._diagonal = unblur(windows * self._contrast)
        self._smooth = windows * (self._contrast * (1 - RIDGE) - self._luminance)

    def form(self, d: Tensor) -> Tensor:
        """Q d, shape of `d` (n, c, h, w)."""
        return self._diagonal * d - unblur(self._smooth * blur(d))

    def length(self, d: Tensor) -> Tensor:
        """(n, 1, 1, 1) of `d`; 1 has the SSIM drop of the floor, to second order."""
        return (dot(d, self.form(d)).clamp_min(1e-30) / self.drop).sqrt()

    def follow(self, published: Tensor) -> Tensor:
        """Adapt to the SSIM of `published` images; (n,) which of them keep the floor."""
        inner, full = (1 - mean for mean in self.reference.ssim(published))
        worst = torch.maximum(inner, full)
        towards = ((inner - full) / self.drop).clamp(-1, 1)
        self.share = (self.share + 0.3 * towards.view(-1, 1, 1, 1)).clamp(0, 1)
        self._adapt(self.drop / worst.clamp_min(1e-9))
        self._weigh()
        return worst <= self.drop

    def steepest(self, gradient: Tensor) -> Tensor:
        """Step of length `radius` that raises a loss with this gradient most: along Q^-1 g.

        Conjugate gradients, preconditioned by the diagonal.
        """
        rest = gradient / gradient.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-20)
        solution, along = torch.zeros_like(rest), rest / self._diagonal
        size = dot(rest, along)
        for _ in range(ITERATIONS):
            image = self.form(along)
            step = size / dot(along, image).clamp_min(1e-30)
            solution, rest = solution + step * along, rest - step * image
            scaled = rest / self._diagonal
            size, previous = dot(rest, scaled), size
            along = scaled + size / previous.clamp_min(1e-30) * along
        return self.radius * solution / self.length(solution)


class Box:
    """|d| <= eps: the cap alone. The same calls as `Ball`."""

    def __init__(self, x: Tensor, eps: float) -> None:
        self.eps = eps

    def follow(self, published: Tensor) -> Tensor:
        return torch.ones(len(published), dtype=torch.bool, device=published.device)

    def steepest(self, gradient: Tensor) -> Tensor:
        return self.eps * gradient.sign()

    def project(self, d: Tensor) -> Tensor:
        return d.clamp(-self.eps, self.eps)


def body(x: Tensor, budget: Budget) -> Ball | Box:
    """The body of a budget around images `x` (n, c, h, w); it has a floor or a cap."""
    if budget.floor is not None:
        return (Ellipsoid if budget.measure == "ssim" else Ball)(x, budget.floor)
    assert budget.eps is not None
    return Box(x, budget.eps)


def weights(x: Tensor, budget: Budget) -> Tensor:
    """M for perturbations d = M * u that images share in u, mean(u^2) <= 1 or |u| <= 1.

    With an SSIM floor, each image's own m = (B'a)^(-1/2), the diagonal of Q: M has the drop of the
    floor where u has no local mean. With a PSNR floor, the root of its mean squared error; without
    any, eps.
    """
    if budget.floor is None:
        assert budget.eps is not None
        return x.new_full((1, 1, 1, 1), budget.eps)
    if budget.measure == "psnr":
        return x.new_full((1, 1, 1, 1), math.sqrt(mean_square(budget.floor)))
    contrast = 1 / (2 * SSIMReference(x).variance + C2)
    return math.sqrt(1 - budget.floor) * unblur(contrast).rsqrt()


def dot(a: Tensor, b: Tensor) -> Tensor:
    """(n, c, h, w) twice to (n, 1, 1, 1) inner products."""
    return (a * b).sum((1, 2, 3), keepdim=True)


def rms(u: Tensor) -> Tensor:
    """(n, c, h, w) to (n, 1, 1, 1) root mean square."""
    return u.square().mean((1, 2, 3), keepdim=True).sqrt()


def cut(d: Tensor, budget: Budget) -> Tensor:
    """`d` within the cap, in whole grey levels where the cap has one or more."""
    if budget.eps is None:
        return d
    cap = budget.levels / 255 if budget.levels else budget.eps
    return d.clamp(-cap, cap)
