"""Separable linear maps on torch images, each as one matrix for rows and one for columns.

The matrix of a filter is what the filter makes of the identity matrix, and so is its equal, borders
included.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Matrix = npt.NDArray[np.float32]


def along_both(x: torch.Tensor, rows: Matrix, columns: Matrix) -> torch.Tensor:
    """`rows @ x @ columns.T` for every channel.

    Args:
        x: (n, c, h, w) floats.
        rows: (new h, h); columns: (new w, w).

    Returns:
        (n, c, new h, new w).
    """
    import torch

    left, right = (torch.as_tensor(m, dtype=x.dtype, device=x.device) for m in (rows, columns))
    return left @ x @ right.T


def blurred(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """As scipy's gaussian_filter of each channel, borders reflected."""
    return along_both(x, _gaussian(x.shape[-2], sigma), _gaussian(x.shape[-1], sigma))


def local_mean(x: torch.Tensor, window: int) -> torch.Tensor:
    """As scipy's uniform_filter of each channel, borders reflected."""
    return along_both(x, _uniform(x.shape[-2], window), _uniform(x.shape[-1], window))


@lru_cache(32)
def _gaussian(side: int, sigma: float) -> Matrix:
    from scipy.ndimage import gaussian_filter1d

    matrix: Matrix = gaussian_filter1d(np.eye(side, dtype=np.float32), sigma, axis=0)
    return matrix


@lru_cache(32)
def _uniform(side: int, window: int) -> Matrix:
    from scipy.ndimage import uniform_filter1d

    matrix: Matrix = uniform_filter1d(np.eye(side, dtype=np.float32), window, axis=0)
    return matrix


def padded(x: torch.Tensor, before: int, after: int) -> torch.Tensor:
    """(n, c, h, w) with borders reflected (d c b a | a b c d), whatever the size."""
    import torch

    for axis in (2, 3):
        index = np.pad(np.arange(x.shape[axis]), (before, after), mode="symmetric")
        x = x.index_select(axis, torch.as_tensor(index, device=x.device))
    return x
