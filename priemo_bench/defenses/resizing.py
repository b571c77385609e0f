"""Resizing, on 8-bit pictures as a site or an app makes them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from priemo_bench.contracts.image import ByteImages, FloatImages, check_bytes, to_float
from priemo_bench.defenses.applied import each_picture
from priemo_bench.defenses.described import Described
from priemo_bench.defenses.linear import Matrix, along_both
from priemo_bench.errors import require

if TYPE_CHECKING:
    import torch

METHODS = {
    "area": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
"""Ways to resample, by name; when shrinking, all of them average over what a new pixel covers."""

Size = tuple[int, int]
"""Height and width."""


def check_method(name: str, method: str) -> None:
    """PriemoError unless `method` is one of METHODS."""
    require(method in METHODS, name, method, f"one of {', '.join(METHODS)}")


def resized(x: ByteImages, size: Size, method: str) -> ByteImages:
    """(n, c, h, w) uint8 brought to `size` by Pillow."""
    return each_picture(x, lambda picture: picture.resize(size[::-1], METHODS[method]))


def softly_resized(x: torch.Tensor, size: Size, method: str) -> torch.Tensor:
    """The same in floats, differentiable: Pillow's weights without its rounding."""
    (h, w), (new_h, new_w) = x.shape[-2:], size
    return along_both(x, _weights(h, new_h, method), _weights(w, new_w, method))


@lru_cache(64)
def _weights(before: int, after: int, method: str) -> Matrix:
    """(after, before): what each new pixel takes of the old ones."""
    one_hot = Image.fromarray(np.eye(before, dtype=np.float32))
    return np.asarray(one_hot.resize((before, after), METHODS[method])).copy()


@dataclass(frozen=True)
class Scale(Described):
    """Enlarge or shrink, a part of a chain: the images come out in another size.

    Attributes:
        factor: new side over old one.
        method: of resampling, one of METHODS.
    """

    does = "size x{0.factor:g} ({0.method})"
    kind = "scale {0.method}"
    knob = "factor"
    source = "Pillow"

    factor: float
    method: str = "lanczos"

    def __post_init__(self) -> None:
        require(self.factor > 0, "factor", self.factor, "above 0")
        check_method("method", self.method)

    def size(self, before: Size) -> Size:
        """Height and width afterwards."""
        h, w = (max(1, round(self.factor * side)) for side in before)
        return h, w

    def __call__(self, x: ByteImages, /) -> FloatImages:
        x = check_bytes(x)
        h, w = self.size((x.shape[2], x.shape[3]))
        return to_float(resized(x, (h, w), self.method))

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """Its stand-in: the same weights without rounding."""
        size = self.size((x.shape[2], x.shape[3]))
        return softly_resized(x, size, self.method).clamp(0, 1)


@dataclass(frozen=True)
class Resize(Described):
    """Shrink and enlarge again.

    Attributes:
        factor: side of the small picture over that of the published one.
        down: how it is shrunk; up: how it is enlarged; both of METHODS.
    """

    does = "shrunk to x{0.factor:g} ({0.down}) and back ({0.up})"
    kind = "resize {0.down}"
    knob = "factor"
    source = "Xie et al. 2018, arXiv:1711.01991; Pillow"

    factor: float = 0.5
    down: str = "area"
    up: str = "bilinear"

    def __post_init__(self) -> None:
        require(0 < self.factor < 1, "factor", self.factor, "above 0 and below 1")
        check_method("down", self.down)
        check_method("up", self.up)

    def __call__(self, x: ByteImages, /) -> FloatImages:
        x = check_bytes(x)
        h, w = Scale(self.factor, self.down).size((x.shape[2], x.shape[3]))
        return to_float(resized(resized(x, (h, w), self.down), (x.shape[2], x.shape[3]), self.up))

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """Its stand-in: the same weights without rounding."""
        small = Scale(self.factor, self.down).smooth(x)
        return softly_resized(small, (x.shape[2], x.shape[3]), self.up).clamp(0, 1)
