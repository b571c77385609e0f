"""SIA: blocks of the image changed independently, each in one of ten ways.

Wang, Zhang & Zhang, "Structure invariant transformation for better adversarial transferability",
ICCV 2023, arXiv:2309.14700, section 3.3: the image is cut into blocks at random, and the gradient
averaged over several such views.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Unpack

import torch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor
from torch.nn.functional import interpolate

from priemo_bench.attacks.base import require_int
from priemo_bench.attacks.transfer.base import Common, Descent, TransferAttack
from priemo_bench.attacks.transfer.spectrum import from_spectrum, to_spectrum

NOISE, KEPT, DROPPED, SMALLER = 16 / 255, 0.6, 0.1, 0.8
"""Range of the noise; part of the coefficients that stay, of pixels that go, of the side."""


class SIA(TransferAttack):
    """Structure invariant attack.

    Args:
        samples: views a step. blocks: along each side.

    See `TransferAttack` for the rest.
    """

    attack_params = [*TransferAttack.attack_params, "samples", "blocks"]

    def __init__(
        self,
        classifier: PyTorchClassifier,
        *,
        samples: int = 20,
        blocks: int = 3,
        **common: Unpack[Common],
    ) -> None:
        self.samples, self.blocks = samples, blocks
        super().__init__(classifier, **common)

    def direction(self, z: Tensor, descent: Descent) -> Tensor:
        found = torch.zeros_like(z)
        for _ in range(self.samples):
            found += descent.gradient(z, view=lambda z: block_view(z, descent, self.blocks))
        return found / self.samples

    def _check_params(self) -> None:
        super()._check_params()
        require_int(self, "samples", "blocks")


def block_view(z: Tensor, descent: Descent, blocks: int) -> Tensor:
    """(n, c, h, w) with each of blocks x blocks random blocks changed by one of WAYS."""
    rows, columns = (_cuts(side, blocks, descent) for side in z.shape[2:])
    view = []
    for top, bottom in rows:
        strip = []
        for left, right in columns:
            way = WAYS[descent.integer(0, len(WAYS) - 1)]
            strip.append(way(z[:, :, top:bottom, left:right], descent))
        view.append(torch.cat(strip, 3))
    return torch.cat(view, 2)


def _cuts(side: int, blocks: int, descent: Descent) -> list[tuple[int, int]]:
    """Where a side is cut at random into blocks, none of which is empty."""
    blocks = min(blocks, side)
    inner = torch.randperm(side - 1, generator=descent.generator)[: blocks - 1] + 1
    places = [0, *sorted(inner.tolist()), side]
    return list(pairwise(places))


def _shifted(dim: int) -> Callable[[Tensor, Descent], Tensor]:
    return lambda z, descent: z.roll(descent.integer(0, z.shape[dim] - 1), dim)


def _resized(z: Tensor, descent: Descent) -> Tensor:
    side = [max(1, round(SMALLER * n)) for n in z.shape[2:]]
    small = interpolate(z, side, mode="bilinear", align_corners=False)
    return interpolate(small, z.shape[2:], mode="bilinear", align_corners=False)


def _scaled(z: Tensor, descent: Descent) -> Tensor:
    return z * float(torch.rand(1, generator=descent.generator))


def _noisy(z: Tensor, descent: Descent) -> Tensor:
    return z + descent.uniform(z, NOISE)


def _without_high_frequencies(z: Tensor, descent: Descent) -> Tensor:
    spectrum = to_spectrum(z)
    high, wide = (max(1, round(KEPT * n)) for n in z.shape[2:])
    mask = torch.zeros_like(spectrum)
    mask[:, :, :high, :wide] = 1
    return from_spectrum(spectrum * mask)


def _with_holes(z: Tensor, descent: Descent) -> Tensor:
    kept = descent.uniform(z, 0.5) + 0.5 >= DROPPED
    return z * kept / (1 - DROPPED)


WAYS: tuple[Callable[[Tensor, Descent], Tensor], ...] = (
    _resized, _shifted(2), _shifted(3), lambda z, descent: z.flip(2), lambda z, descent: z.flip(3),
    lambda z, descent: z.flip(2, 3), _scaled, _noisy, _without_high_frequencies, _with_holes,
)  # fmt: skip
"""What may be done to a block."""
