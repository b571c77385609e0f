"""Embedded victims trained on faces nearly as they are, unlike the zoo.

The zoo is trained on faces that are turned, resized, brightened and erased in part; its victims
resemble each other more than recognisers that others trained (victims/README.md), and what one of
them loses when it is left out says little of these. The ones here were hardly augmented (mirrored,
shifted by a pixel or two, turned by three degrees, resized by 3 %), by other optimisers and losses,
and read other crops. They are judges and surrogates for attacks that are to transfer, and have seen
no rendered faces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from priemo_bench.victims.timm_victim import TimmVictim
from priemo_bench.victims.zoo import EmbeddedVictim


class CroppedVictim(TimmVictim):
    """A timm classifier that reads the middle of an image.

    Args:
        crop: share of the side that is read, in (0, 1].
        network: arguments of `TimmVictim`.
    """

    def __init__(self, crop: float = 1.0, **network: Any) -> None:
        super().__init__(**network)
        self.crop = crop
        if crop < 1:
            self.architecture += f", of the middle {crop:.0%}"

    def prepare(self, x: Tensor) -> Tensor:
        """The middle of images (n, 1 or 3, h, w) in [0, 1] as the network's own input."""
        if x.ndim == 4:
            top, left = (round((1 - self.crop) / 2 * side) for side in x.shape[2:])
            x = x[:, :, top : x.shape[2] - top, left : x.shape[3] - left]
        return super().prepare(x)


@dataclass(frozen=True, repr=False)
class PlainlyTrained(EmbeddedVictim):
    """Entry point of an embedded victim that was trained on faces as they are.

    Example:
        >>> vgg_plain().crop
        1.0
    """

    def build(self) -> CroppedVictim:
        """The network with random weights, in float32."""
        return CroppedVictim(**self.spec.model)


vgg_plain = PlainlyTrained("vgg-plain")
resnet_plain = PlainlyTrained("resnet-plain")
mobilenet_plain = PlainlyTrained("mobilenet-plain")
starnet_plain = PlainlyTrained("starnet-plain")
densenet_plain = PlainlyTrained("densenet-plain")

PLAIN = (vgg_plain, resnet_plain, mobilenet_plain, starnet_plain, densenet_plain)
