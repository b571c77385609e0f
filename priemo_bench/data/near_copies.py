"""Near copies: faces whose 16x16 thumbnails correlate above .98.

Web-search sets such as FER2013 hold the same photograph several times, cropped or compressed
differently. A copy on the other side of a split tests a model on an image that it was trained on.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from priemo_bench.contracts.image import ByteImages, FloatImages

SIDE = 16
"""Side of the thumbnails that are compared."""

LIMIT = 0.98
"""Pearson correlation of two thumbnails above which their faces count as copies."""

_GREY = np.array((0.299, 0.587, 0.114), np.float32)  # ITU-R BT.601
_BLOCK = 2048


def _box(size: int, side: int) -> FloatImages:
    """(side, size) matrix that averages `size` pixels to `side` by exact area."""
    edges = np.arange(side + 1) * size / side
    pixel = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return (overlap.clip(0) * side / size).astype(np.float32)


def block_means(images: ByteImages, side: int) -> FloatImages:
    """(n, c, h, w) uint8 to (n, side, side) float32 grey levels, averaged by area."""
    rows, columns = _box(images.shape[2], side), _box(images.shape[3], side).T
    out = np.empty((len(images), side, side), np.float32)
    for i in range(0, len(images), _BLOCK):
        x = images[i : i + _BLOCK].astype(np.float32)
        x = x[:, 0] if x.shape[1] == 1 else np.einsum("nchw,c->nhw", x, _GREY)
        out[i : i + _BLOCK] = rows @ x @ columns
    return out


def thumbnails(images: ByteImages) -> FloatImages:
    """(n, c, h, w) uint8 to (n, 257) unit vectors whose dot products are the correlations.

    A constant image has no correlation; the last coordinate is 1 for these only, so that constant
    images count as copies of each other and of nothing else.
    """
    x = block_means(images, SIDE).reshape(len(images), -1)
    x -= x.mean(1, keepdims=True)
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    constant = norm < 1e-2
    return np.hstack([x / np.where(constant, np.inf, norm), constant.astype(np.float32)])


def highest_correlation(images: ByteImages, others: ByteImages) -> FloatImages:
    """(n,) highest correlation of each image's thumbnail with any of `others`."""
    a, b = thumbnails(images), thumbnails(others)
    best = np.full(len(a), -1, np.float32)
    for i in range(0, len(b), _BLOCK):
        best = np.maximum(best, (a @ b[i : i + _BLOCK].T).max(1))
    return best


def _pairs(x: FloatImages) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    for i in range(0, len(x), _BLOCK):
        for j in range(i, len(x), _BLOCK):
            rows, columns = np.nonzero(x[i : i + _BLOCK] @ x[j : j + _BLOCK].T > LIMIT)
            yield rows + i, columns + j


def groups(images: ByteImages) -> npt.NDArray[np.int32]:
    """(n,) group numbers: images joined by a chain of near copies share one."""
    pairs = _pairs(thumbnails(images))
    rows, columns = (np.concatenate(side) for side in zip(*pairs, strict=True))
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(len(images),) * 2)
    numbers: npt.NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return numbers


def first_of_each(images: ByteImages) -> npt.NDArray[np.bool_]:
    """(n,) mask that keeps the first image of every group of near copies."""
    keep = np.zeros(len(images), bool)
    keep[np.unique(groups(images), return_index=True)[1]] = True
    return keep
