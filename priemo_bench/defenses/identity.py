"""No defense: the baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from priemo_bench.contracts.image import ByteImages, FloatImages, to_float
from priemo_bench.defenses.described import Described

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Nothing(Described):
    """The victim predicts on the published image as it is."""

    does = "nothing: the published image as it is"
    kind = "none"
    source = "baseline"

    def __call__(self, x: ByteImages, /) -> FloatImages:
        return to_float(x)

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """The image itself."""
        return x
