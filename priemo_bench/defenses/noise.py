"""Noise of the victim's own, then smoothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priemo_bench.contracts.image import ByteImages, FloatImages, check_bytes
from priemo_bench.defenses.applied import Random
from priemo_bench.defenses.described import Described
from priemo_bench.defenses.smoothing import Blur, Median
from priemo_bench.errors import require

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class NoisySmoothing(Random, Described):
    """Gaussian noise, rounded to 8 bits, then smoothing.

    Attributes:
        sigma: standard deviation of the noise, in levels of 255.
        smoothing: the filter after it.
        seed: of the noise, which also depends on the image's bytes.
    """

    does = "noise, sigma {0.sigma:g}/255, then {0.smoothing.summary}"
    kind = "noise, {0.smoothing.family}"
    knob = "sigma"
    source = "Hönig et al. 2024, arXiv:2406.12027"

    sigma: float
    smoothing: Median | Blur
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.sigma > 0, "sigma", self.sigma, "above 0 levels of 255")

    def __call__(self, x: ByteImages, /) -> FloatImages:
        x = check_bytes(x)
        drawn = [g.standard_normal(x.shape[1:], np.float32) for g in self.generators(x)]
        noisy = np.rint(x + self.sigma * np.stack(drawn)).clip(0, 255)
        return self.smoothing(noisy.astype(np.uint8))

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """Its stand-in: the smoothing alone, near the mean over draws."""
        return self.smoothing.smooth(x)
