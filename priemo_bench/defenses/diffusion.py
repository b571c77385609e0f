"""Purification by a diffusion model (DiffPure: Nie et al. 2022, arXiv:2205.07460).

An image is given the noise of step t of a diffusion, in which a small perturbation drowns, and is
then taken back to step 0 by a network that has learnt clean faces.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from priemo_bench.contracts.image import ByteImages, FloatImages
from priemo_bench.defenses.applied import Random
from priemo_bench.defenses.described import Described
from priemo_bench.defenses.learned import SIDE, one_by_one, trained
from priemo_bench.errors import require

if TYPE_CHECKING:
    from torch import Tensor, nn

    from priemo_bench.defenses.unet import UNet

SHA256 = "cd06c7d1136e5c5eac0993a765a77992e2b4aa0031610a3fe3fa13ef9b0543e3"
"""Of weights/diffusion.safetensors."""
WIDTHS = (32, 64, 96)
STEPS = 1000
"""Of the whole diffusion; the variance that a step adds grows linearly (Ho, Jain & Abbeel 2020)."""
LAST = 200
"""The last step that the network has learnt: purification goes no further."""


def network() -> UNet:
    """The untrained network: from a noisy face, -1 to 1, and its step to the noise."""
    from priemo_bench.defenses.unet import UNet

    return UNet(1, WIDTHS, timed=True)


def kept_after(step: int) -> float:
    """Share of the variance that is the image's after `step` steps; 1 at step 0."""
    betas = np.linspace(1e-4, 0.02, STEPS)[:step]
    return float(np.prod(1 - betas))


def purified(net: nn.Module, x: Tensor, noise: Tensor, t: int, passes: int) -> Tensor:
    """Faces after t steps forth by this noise, and back by DDIM (Song, Meng & Ermon 2021).

    Args:
        net: as `network`, trained.
        x: (n, 1, SIDE, SIDE) in [0, 1]; noise: the same shape, standard normal.
        t: steps forth, up to LAST.
        passes: of the network, over evenly spaced steps; nothing random is added on the way.

    Returns:
        (n, 1, SIDE, SIDE) in [0, 1].
    """
    import torch

    times = np.linspace(t, 0, passes + 1).round().astype(int)
    kept = kept_after(t)
    now = kept**0.5 * (2 * x - 1) + (1 - kept) ** 0.5 * noise
    for time, following in pairwise(times):
        kept, then = kept_after(time), kept_after(following)
        found: Tensor = net(now, torch.full((len(x),), float(time), device=x.device))
        clean = ((now - (1 - kept) ** 0.5 * found) / kept**0.5).clamp(-1, 1)
        found = (now - kept**0.5 * clean) / (1 - kept) ** 0.5
        now = then**0.5 * clean + (1 - then) ** 0.5 * found
    out: Tensor = (now + 1) / 2
    return out


@dataclass(frozen=True)
class Diffusion(Random, Described):
    """Noise of a diffusion's step t on the face's luma at 48 x 48 pixels, taken back by a network.

    The change that this makes is enlarged to the image's size (bilinear) and added to every
    channel: colour, and detail finer than 48 pixels a side, are left as they are. The model has
    seen the clean faces of FER2013's train split only.

    Attributes:
        t: steps forth, of the 1,000 after which nothing is left of the image.
        passes: of the network on the way back.
        seed: of the noise, which also depends on the image's bytes.
    """

    does = "diffusion: {0.t} of 1,000 steps of noise, taken back in {0.passes}; luma at 48 x 48"
    kind = "diffusion"
    knob = "t"
    source = "Nie et al. 2022, arXiv:2205.07460; weights of this project"

    t: int
    passes: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        require(1 <= self.t <= LAST, "t", self.t, f"an integer from 1 to {LAST}")
        require(1 <= self.passes <= self.t, "passes", self.passes, "an integer from 1 to t")

    def __call__(self, x: ByteImages, /) -> FloatImages:
        return one_by_one(self.smooth, x)

    def smooth(self, x: Tensor) -> Tensor:
        """The same, by the draw that belongs to the bytes that `x` rounds to."""
        import torch
        from torch.nn.functional import interpolate

        from priemo_bench.contracts.victim import GREY

        net = trained("diffusion", SHA256, network, x.dtype, x.device)
        weights = torch.tensor(GREY, dtype=x.dtype, device=x.device)[:, None, None]
        small = luma = x if x.shape[1] == 1 else (x * weights).sum(1, keepdim=True)
        if luma.shape[-2:] != (SIDE, SIDE):
            small = interpolate(luma, (SIDE, SIDE), mode="bilinear", antialias=True)
        drawn = [g.standard_normal((1, SIDE, SIDE), np.float32) for g in self.generators(x)]
        noise = torch.from_numpy(np.stack(drawn)).to(x)
        change = purified(net, small, noise, self.t, self.passes) - small
        if change.shape[-2:] != x.shape[-2:]:
            change = interpolate(change, x.shape[-2:], mode="bilinear")
        return (x + change).clamp(0, 1)
