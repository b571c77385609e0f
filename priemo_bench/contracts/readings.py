"""How an image is known again by its pixels, when a black box has read it elsewhere."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import numpy.typing as npt


def digest_of(image: npt.NDArray[np.uint8]) -> str:
    """32 hex digits of a published image (channels, height, width), uint8: its shape and pixels.

    Example:
        >>> digest_of(np.zeros((1, 2, 2), np.uint8)) == digest_of(np.zeros((1, 4, 1), np.uint8))
        False
    """
    return sha256(f"{image.shape}".encode() + np.ascontiguousarray(image).tobytes()).hexdigest()[
        :32
    ]
