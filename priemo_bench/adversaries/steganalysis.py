"""The network of the learned detector: what steganalysis looks for, and the mean perturbation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from priemo_bench.adversaries.pairs import Pairs
from priemo_bench.errors import PriemoError

LIMIT = 8.0
"""Residuals are cut off here, in grey levels (Ye, Ni & Yi 2017, doi 10.1109/TIFS.2017.2710946)."""
KERNELS = (
    ((0, 0, 0), (0, -1, 1), (0, 0, 0)),
    ((0, 0, 0), (0, -1, 0), (0, 1, 0)),
    ((0, 0, 0), (0.5, -1, 0.5), (0, 0, 0)),
    ((0, 0.5, 0), (0, -1, 0), (0, 0.5, 0)),
    ((-0.25, 0.5, -0.25), (0.5, -1, 0.5), (-0.25, 0.5, -0.25)),
)
"""High-pass filters of first, second and third order (Fridrich & Kodovsky 2012, spatial rich
models, doi 10.1109/TIFS.2012.2190402)."""


class Classifier(nn.Module):
    """Images (n, c, h, w) in [0, 1] to logits (n,), positive for protected.

    Small convolutions over high-pass residuals, averaged over the image, plus a matched filter: the
    product of the image's residuals with those of the mean perturbation of the pairs, which finds
    one that is shared by all images.
    """

    kernels: Tensor
    template: Tensor

    def __init__(self, pairs: Pairs) -> None:
        super().__init__()
        self.register_buffer("kernels", torch.tensor(KERNELS)[:, None])
        self.shape = pairs.shape
        width = len(KERNELS) * self.shape[0]
        self.net = nn.Sequential(
            nn.Conv2d(width, 32, 3, padding=1), nn.ReLU(),
            nn.Conv2d(32, 48, 3, 2, padding=1), nn.ReLU(),
            nn.Conv2d(48, 64, 3, 2, padding=1), nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 1),
        )  # fmt: skip
        mean = (pairs.protected - pairs.clean).mean(0, keepdim=True)
        template = self._filtered(mean)
        size = template.square().sum().clamp(min=1e-12)
        self.register_buffer("template", template / size)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, mirror: Tensor | None = None) -> Tensor:
        """`mirror` (n,): the images whose residuals the convolutions see mirrored."""
        if x.shape[1:] != self.shape:
            found = tuple(x.shape[1:])
            raise PriemoError(f"images are {found}; this detector learnt from {self.shape}")
        residual = self._filtered(x)
        seen = residual.clamp(-LIMIT, LIMIT) / LIMIT
        if mirror is not None:
            seen = torch.where(mirror.view(-1, 1, 1, 1), self._filtered(x.flip(3)), residual)
            seen = seen.clamp(-LIMIT, LIMIT) / LIMIT
        matched = (residual * self.template).sum((1, 2, 3))
        logits: Tensor = self.net(seen).squeeze(1) + self.gain * matched
        return logits

    def _filtered(self, x: Tensor) -> Tensor:
        """(n, c, h, w) in [0, 1] to (n, c * len(KERNELS), h, w) residuals in grey levels."""
        n, c, h, w = x.shape
        planes = F.pad(255 * x.reshape(n * c, 1, h, w), (1, 1, 1, 1), "replicate")
        return F.conv2d(planes, self.kernels.to(x.dtype)).reshape(n, -1, h, w)


def pair_loss(net: Classifier, clean: Tensor, protected: Tensor) -> Tensor:
    """Cross-entropy over both faces of each pair, which share a mini-batch as in steganalysis."""
    both = torch.cat([protected, clean])
    truth = torch.cat([torch.ones(len(protected)), torch.zeros(len(clean))])
    mirror = torch.rand(len(clean)).lt(0.5).repeat(2) if net.training else None
    return F.binary_cross_entropy_with_logits(net(both, mirror), truth)
