"""What happened to each protected image, as a victim reads it.

`label`, `clean` and `prediction` are indices into EMOTIONS, `target` too (-1 where there is none).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def protected(label: Array, clean: Array, prediction: Array, target: Array | None = None) -> Array:
    """1 where an image that was read as its label no longer is, 0 where it still is; float64.

    NaN where the image does not count: read wrongly when clean, or labelled as its own target.
    """
    counts = clean == label
    if target is not None:
        counts = counts & (label != target)
    return np.where(counts, prediction != label, np.nan)


def hit(label: Array, clean: Array, prediction: Array, target: Array) -> Array:
    """1 where an image is read as its target, else 0; NaN where it was labelled or read so."""
    counts = (target >= 0) & (label != target) & (clean != target)
    return np.where(counts, prediction == target, np.nan)
