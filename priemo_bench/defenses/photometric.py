"""Changes of brightness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priemo_bench.contracts.image import ByteImages, FloatImages, check_images, to_float
from priemo_bench.defenses.applied import Floats, each_image
from priemo_bench.defenses.described import Described
from priemo_bench.errors import require

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Gamma(Described):
    """Gamma correction: x to the power of gamma.

    Attributes:
        gamma: below 1 brightens, above 1 darkens.
    """

    does = "gamma {0.gamma:g}"
    kind = "gamma"
    knob = "gamma"
    source = "x ** gamma"

    gamma: float = 1.4

    def __post_init__(self) -> None:
        require(self.gamma > 0, "gamma", self.gamma, "above 0")

    def __call__(self, x: ByteImages, /) -> FloatImages:
        return check_images(to_float(x) ** np.float32(self.gamma))

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """The same; below half a level its slope, which may be infinite at 0, is 0."""
        return x.clamp(min=0.5 / 255) ** self.gamma


@dataclass(frozen=True)
class CLAHE(Described):
    """Contrast-limited adaptive histogram equalisation, of the value (HSV) of RGB.

    scikit-image's, in tiles of an eighth of the side.

    Attributes:
        clip: limit of the slope, as a share of a tile's pixels, 0 to 1.
    """

    does = "CLAHE, clip limit {0.clip:g}"
    kind = "clahe"
    knob = "clip"
    source = "Zuiderveld 1994, Graphics Gems IV; scikit-image"

    clip: float = 0.01

    def __post_init__(self) -> None:
        require(0 < self.clip <= 1, "clip", self.clip, "in (0, 1]")

    def __call__(self, x: ByteImages, /) -> FloatImages:
        from skimage.exposure import equalize_adapthist

        return each_image(
            x, lambda image: _of_value(image, lambda v: equalize_adapthist(v, clip_limit=self.clip))
        )


@dataclass(frozen=True)
class Equalise(Described):
    """Histogram equalisation, of the value (HSV) of RGB."""

    does = "histogram equalisation"
    kind = "equalise"
    source = "scikit-image equalize_hist"

    def __call__(self, x: ByteImages, /) -> FloatImages:
        from skimage.exposure import equalize_hist

        return each_image(x, lambda image: _of_value(image, equalize_hist))


def _of_value(image: Floats, change: Callable[[Floats], Floats]) -> Floats:
    """A change of grey values, or of the value (HSV) of RGB; a flat image stays as it is."""
    from skimage.color import hsv2rgb, rgb2hsv

    planes = image if image.ndim == 2 else rgb2hsv(image)
    value = image if image.ndim == 2 else planes[..., 2]
    if np.ptp(value) == 0:
        return image
    changed = change(value)
    if image.ndim == 2:
        return changed
    out: Floats = hsv2rgb(np.dstack([planes[..., :2], changed]))
    return out
