"""Statistics by which image ciphers are usually judged.

Wu, Noonan & Agaian, "NPCR and UACI randomness tests for image encryption", J. Selected Areas in
Telecommunications, 2011. Two independent uniform images have NPCR 255/256 = 99.609 % and UACI
257/768 = 33.464 %; a uniform one has nearly 8 bits of entropy.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from priemo_bench.contracts.image import ByteImages, check_bytes
from priemo_bench.errors import PriemoError

Scores = npt.NDArray[np.float64]


def npcr(x: ByteImages, y: ByteImages) -> Scores:
    """(n,) share of pixel values that differ, of two sets of images (n, c, h, w) uint8."""
    x, y = _pair(x, y)
    return (x != y).mean((1, 2, 3))


def uaci(x: ByteImages, y: ByteImages) -> Scores:
    """(n,) mean change of a pixel value as a share of 255."""
    x, y = _pair(x, y)
    return np.abs(x.astype(np.int16) - y).mean((1, 2, 3)) / 255


def entropy(x: ByteImages) -> Scores:
    """(n,) Shannon entropy in bits of the grey levels of each image, 0 to 8."""
    counts = np.stack([np.bincount(image.ravel(), minlength=256) for image in check_bytes(x)])
    shares = counts / counts.sum(1, keepdims=True)
    return -(shares * np.log2(shares, where=shares > 0, out=np.zeros_like(shares))).sum(1)


def neighbour_correlation(x: ByteImages) -> Scores:
    """(n,) correlation of horizontally adjacent pixels: near 1 in photographs, 0 in noise."""
    x = check_bytes(x)
    left = x[..., :-1].reshape(len(x), -1).astype(np.float64)
    right = x[..., 1:].reshape(len(x), -1).astype(np.float64)
    left -= left.mean(1, keepdims=True)
    right -= right.mean(1, keepdims=True)
    scale = np.sqrt((left**2).sum(1) * (right**2).sum(1))
    return np.divide((left * right).sum(1), scale, out=np.ones(len(x)), where=scale > 0)


def _pair(x: ByteImages, y: ByteImages) -> tuple[ByteImages, ByteImages]:
    x, y = check_bytes(x, "x"), check_bytes(y, "y")
    if x.shape != y.shape:
        raise PriemoError(f"x has shape {x.shape} and y {y.shape}; they must be the same")
    return x, y
