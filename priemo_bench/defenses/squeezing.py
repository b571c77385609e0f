"""Feature squeezing (Xu, Evans & Qi 2018, arXiv:1704.01155)."""

from __future__ import annotations

from dataclasses import dataclass

from priemo_bench.contracts.image import ByteImages, FloatImages, check_images, to_float
from priemo_bench.defenses.described import Described
from priemo_bench.errors import require


@dataclass(frozen=True)
class Bits(Described):
    """Bit-depth reduction.

    Attributes:
        depth: bits per channel, 1 to 7.
    """

    does = "{0.depth} bits a channel"
    kind = "bits"
    knob = "depth"
    source = "Xu, Evans & Qi 2018, arXiv:1704.01155; ART"

    depth: int = 4

    def __post_init__(self) -> None:
        require(1 <= self.depth <= 7, "depth", self.depth, "an integer from 1 to 7")

    def __call__(self, x: ByteImages, /) -> FloatImages:
        from art.defences.preprocessor import FeatureSqueezing

        # ART multiplies by a float64 scalar; since NumPy 2 (NEP 50) that makes the array float64,
        # which a float32 estimator refuses. The values are correct: check_images casts them back.
        squeeze = FeatureSqueezing((0, 1), bit_depth=self.depth)
        return check_images(squeeze(to_float(x))[0])
