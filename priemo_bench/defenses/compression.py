"""Lossy compression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from priemo_bench.contracts.image import ByteImages, FloatImages, check_bytes, to_float
from priemo_bench.errors import require


@dataclass(frozen=True)
class Jpeg:
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

    quality: int = 75

    def __post_init__(self) -> None:
        require(1 <= self.quality <= 95, "quality", self.quality, "an integer from 1 to 95")

    def __call__(self, x: ByteImages, /) -> FloatImages:
        from art.defences.preprocessor import JpegCompression

        # With clip values (0, 1) ART truncates x * 255 to 8 bits: some pixels get one level darker.
        compress = JpegCompression((0, 255), quality=self.quality, channels_first=True)
        return to_float(compress(check_bytes(x))[0].astype(np.uint8))
