"""The informed purifier: from protected to clean, learnt from pairs that leaked.

LightShed (Foerster et al., USENIX Security 2025) learns an image's perturbation from such pairs and
subtracts it; PuFace (Wen et al. 2024, arXiv:2406.02253) learns to give back the clean face.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from priemo_bench.adversaries.pairs import Pairs, fit
from priemo_bench.contracts.image import ByteImages, FloatImages
from priemo_bench.defenses.learned import SIDE, one_by_one
from priemo_bench.defenses.unet import UNet
from priemo_bench.errors import PriemoError

if TYPE_CHECKING:
    from priemo_bench.progress import Progress

WIDTHS = (32, 64)


class Subtraction(nn.Module):
    """Protected images to clean ones: less the mean perturbation, less what a U-Net then finds."""

    def __init__(self, pairs: Pairs) -> None:
        super().__init__()
        self.shape = pairs.shape
        self.shared = nn.Parameter((pairs.protected - pairs.clean).mean(0))
        self.net = UNet(self.shape[0], WIDTHS)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) in [0, 1] to the same, not clipped."""
        return self.rest(x - self.shared)

    def rest(self, x: Tensor) -> Tensor:
        """The part of the U-Net, which needs no particular size."""
        out: Tensor = x - self.net(x - 0.5)
        return out


def pair_loss(net: Subtraction, clean: Tensor, protected: Tensor) -> Tensor:
    """Mean squared error in grey levels; in training on mirrored cut-outs of SIDE pixels a side."""
    x = protected - net.shared
    if net.training:
        x, clean = _cut_out(torch.cat([x, clean], 1))
    return (255 * (net.rest(x) - clean)).square().mean()


def _cut_out(x: Tensor) -> tuple[Tensor, Tensor]:
    """(n, 2c, h, w) cut out at one random place, half of them mirrored; two halves (n, c, h, w)."""
    h, w = x.shape[-2:]
    top, left = (int(torch.randint(max(0, side - SIDE) + 1, ())) for side in (h, w))
    x = x[..., top : top + SIDE, left : left + SIDE]
    x = torch.where((torch.rand(len(x)) < 0.5).view(-1, 1, 1, 1), x.flip(3), x)
    first, second = x.chunk(2, 1)
    return first, second


@dataclass(frozen=True, eq=False)
class InformedPurifier:
    """A defense learnt from leaked pairs of clean and protected faces (see `fitted`).

    Attributes:
        net: frozen.
        pairs: how many it was learnt from.
    """

    net: Subtraction
    pairs: int
    source = "Foerster et al., USENIX Security 2025; Wen et al. 2024, arXiv:2406.02253"
    family = "informed purifier"

    @property
    def summary(self) -> str:
        """What it is, in one line."""
        return f"residual U-Net, learnt from {self.pairs:,} leaked pairs"

    @property
    def strength(self) -> float:
        """The number of pairs."""
        return float(self.pairs)

    def __call__(self, x: ByteImages, /) -> FloatImages:
        """(n, c, h, w) uint8 to floats in [0, 1]; PriemoError for another size than learnt."""
        return one_by_one(self.smooth, x)

    def smooth(self, x: Tensor) -> Tensor:
        """The same, differentiable."""
        if x.shape[1:] != self.net.shape:
            raise PriemoError(
                f"images are {tuple(x.shape[1:])}; this purifier learnt from {self.net.shape}"
            )
        found: Tensor = self.net(x.to(self.net.shared))
        return found.clamp(0, 1).to(x)


def fitted(
    clean: ByteImages, protected: ByteImages, seed: int = 0, shown: Progress | None = None
) -> InformedPurifier:
    """Learn a purifier from pairs, a tenth of which choose when to stop.

    On those it is never worse than subtracting the mean perturbation.

    Args:
        clean, protected: (n, c, h, w) uint8, in the same order.
        seed: of initialisation, mini-batches and the held-out tenth.
        shown: is told of the steps; nothing is shown by default.

    Raises:
        PriemoError: fewer than 20 pairs, or pairs that do not match.
    """
    pairs = Pairs.of(clean, protected, seed)
    net = fit(lambda: Subtraction(pairs), pair_loss, pairs, "purifier", seed, shown)
    return InformedPurifier(net, len(clean))
