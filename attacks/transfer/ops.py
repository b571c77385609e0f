"""OPS: the gradient averaged over random perturbations and compositions of simple operators.

Guo, Lu, Wang & Wang, "Boosting adversarial transferability through augmentation in hypothesis
space", CVPR 2025: noise of a random radius, and two to four operators one after another. The 30
noises x 30 compositions of the paper are 9,010 passes; here they are few by default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Unpack

from art.estimators.classification import PyTorchClassifier
from torch import Tensor
from torch.nn.functional import interpolate, pad

from priemo_bench.attacks.base import require_int, require_number
from priemo_bench.attacks.transfer.base import Common, Descent, TransferAttack

RATIOS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
"""Radius of a noise, in `radius` eps."""
LEVELS = (2, 4)
"""Fewest and most operators in a composition."""
ANGLES = (5, -5, 15, -15, 45, -45, 90, -90, 180)
DIVISORS = (2, 3, 4, 5, 6, 7, 8)
RATES = (1.1, 1.3, 1.5, 1.7, 1.9, 2.1, 2.3, 2.5, 2.7, 2.9)
"""Of the larger canvas on which a resized image is put somewhere."""
Operator = Callable[[Tensor, Descent], Tensor]


class OPS(TransferAttack):
    """Operator-perturbation-based stochastic optimisation.

    Args:
        noises, compositions: a step; their product and one passes.
        radius: of the noise, in eps, before its ratio.

    See `TransferAttack` for the rest.
    """

    attack_params = [*TransferAttack.attack_params, "noises", "compositions", "radius"]

    def __init__(
        self,
        classifier: PyTorchClassifier,
        *,
        noises: int = 2,
        compositions: int = 5,
        radius: float = 2.0,
        **common: Unpack[Common],
    ) -> None:
        self.noises, self.compositions, self.radius = noises, compositions, radius
        super().__init__(classifier, **common)

    def direction(self, z: Tensor, descent: Descent) -> Tensor:
        found = descent.gradient(z)
        for _ in range(self.noises):
            ratio = RATIOS[descent.integer(0, len(RATIOS) - 1)]
            noise = descent.uniform(z, self.radius * descent.eps * ratio)
            for _ in range(self.compositions):
                found += descent.gradient(z + noise, view=lambda near: composed(near, descent))
        return found / (self.noises * self.compositions + 1)

    def _check_params(self) -> None:
        super()._check_params()
        require_int(self, "noises", "compositions")
        require_number(self, "radius")


def composed(z: Tensor, descent: Descent) -> Tensor:
    """A random composition of OPERATORS on images (n, c, h, w)."""
    for _ in range(descent.integer(*LEVELS)):
        z = OPERATORS[descent.integer(0, len(OPERATORS) - 1)](z, descent)
    return z


def _turned(angle: float) -> Operator:
    def turn(z: Tensor, descent: Descent) -> Tensor:
        from torchvision.transforms.functional import rotate

        turned: Tensor = rotate(z, angle)
        return turned

    return turn


def _divided(divisor: float) -> Operator:
    return lambda z, descent: z / divisor


def _placed(rate: float) -> Operator:
    """A random size, somewhere on a canvas `rate` as large, and back (Xie et al. 2019, DIM)."""

    def place(z: Tensor, descent: Descent) -> Tensor:
        sides = z.shape[2:]
        canvas = [max(n + 1, int(n * rate)) for n in sides]
        part = descent.integer(0, 10**6) / 10**6
        size = [n + int(part * (m - n)) for n, m in zip(sides, canvas, strict=True)]
        spare = [m - n for n, m in zip(size, canvas, strict=True)]
        top, left = (descent.integer(0, room) for room in spare)
        large = interpolate(z, size, mode="bilinear", align_corners=False)
        large = pad(large, [left, spare[1] - left, top, spare[0] - top])
        return interpolate(large, sides, mode="bilinear", align_corners=False)

    return place


def _rolled(dim: int) -> Operator:
    return lambda z, descent: z.roll(descent.integer(0, z.shape[dim] - 1), dim)


OPERATORS: tuple[Operator, ...] = (
    lambda z, descent: z, lambda z, descent: z.flip(2), lambda z, descent: z.flip(3),
    _rolled(2), _rolled(3), *map(_turned, ANGLES), *map(_divided, DIVISORS), *map(_placed, RATES),
)  # fmt: skip
