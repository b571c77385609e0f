"""Lossy compression."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from priemo_bench.contracts.image import ByteImages, FloatImages, check_bytes, to_float
from priemo_bench.defenses.applied import each_picture
from priemo_bench.defenses.described import Described
from priemo_bench.defenses.soft_coding import jpeg_tables, soft_coded
from priemo_bench.errors import require

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Jpeg(Described):
    """JPEG compression, greyscale for one channel.

    Dziugaite, Ghahramani & Roy 2016, arXiv:1608.00853.

    Attributes:
        quality: Pillow's, 1 (worst) to 95 (best).

    Example:
        >>> import numpy as np
        >>> faces = np.full((2, 3, 48, 48), 128, np.uint8)
        >>> out = Jpeg(75)(faces)
        >>> out.shape, str(out.dtype), round(255 * float(out.max()))
        ((2, 3, 48, 48), 'float32', 128)
    """

    does = "JPEG of quality {0.quality}"
    kind = "jpeg"
    knob = "quality"
    source = "Dziugaite, Ghahramani & Roy 2016, arXiv:1608.00853; Pillow"

    quality: int = 75

    def __post_init__(self) -> None:
        require(1 <= self.quality <= 95, "quality", self.quality, "an integer from 1 to 95")

    def __call__(self, x: ByteImages, /) -> FloatImages:
        from art.defences.preprocessor import JpegCompression

        # With clip values (0, 1) ART truncates x * 255 to 8 bits: some pixels get one level darker.
        compress = JpegCompression((0, 255), quality=self.quality, channels_first=True)
        return to_float(compress(check_bytes(x))[0].astype(np.uint8))

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """Its stand-in: the same transform and steps, softly rounded (Shin & Song 2017)."""
        return soft_coded(x, *jpeg_tables(self.quality))


@dataclass(frozen=True)
class WebP(Described):
    """Lossy WebP, the same grey in all channels for one channel.

    Attributes:
        quality: Pillow's, 1 (worst) to 100 (best).
    """

    does = "WebP of quality {0.quality}"
    kind = "webp"
    knob = "quality"
    source = "VP8, RFC 6386; Pillow (libwebp)"

    quality: int = 75

    def __post_init__(self) -> None:
        require(1 <= self.quality <= 100, "quality", self.quality, "an integer from 1 to 100")

    def __call__(self, x: ByteImages, /) -> FloatImages:
        return to_float(each_picture(x, self._coded))

    def _coded(self, picture: Image.Image) -> Image.Image:
        file = io.BytesIO()
        picture.convert("RGB").save(file, "webp", quality=self.quality)
        with Image.open(file) as coded:
            return coded.convert(picture.mode)

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """Its stand-in: chroma at half the resolution, brightness as it is.

        VP8 predicts each block from its neighbours and codes the rest. Against it, PGD through the
        stand-in of JPEG did worse than through the identity.
        """
        return soft_coded(x, None, None)
