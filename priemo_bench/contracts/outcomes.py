"""What a perturbation did to each image, from the predictions of one victim.

`label`, `clean` (the clean prediction), `prediction` (of the published image) and `target` are
indices into EMOTIONS, and -1 is no target. All have shape (n,); `prediction` may be (seeds, n).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.signedinteger]
FloatArray = npt.NDArray[np.float64]


def protected(
    label: IntArray, clean: IntArray, prediction: IntArray, target: IntArray | None = None
) -> FloatArray:
    """1 where a correctly classified image is misclassified once published, else 0.

    NaN where the image does not count: misclassified when clean, or labelled as its own target.

    Example:
        >>> protected(np.array([0, 1, 2]), np.array([0, 1, 6]), np.array([4, 1, 6]))
        array([ 1.,  0., nan])
    """
    counts = clean == label
    if target is not None:
        counts = counts & (label != target)
    return np.where(counts, prediction != label, np.nan)


def hit(label: IntArray, clean: IntArray, prediction: IntArray, target: IntArray) -> FloatArray:
    """1 where a published image is classified as its target, else 0.

    NaN where the image does not count: no target, or labelled or classified as it when clean.

    Example:
        >>> target = np.full(3, 3)
        >>> hit(np.array([0, 1, 3]), np.array([0, 1, 3]), np.array([3, 1, 3]), target)
        array([ 1.,  0., nan])
    """
    counts = (target >= 0) & (label != target) & (clean != target)
    return np.where(counts, prediction == target, np.nan)
