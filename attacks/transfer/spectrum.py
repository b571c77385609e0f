"""Images as cosine coefficients: what SSA, SIA and SSA-CWA change."""

from __future__ import annotations

from functools import lru_cache
from math import pi, sqrt

import torch
from torch import Tensor

from priemo_bench.attacks.transfer.base import Descent


@lru_cache(maxsize=64)
def dct_matrix(n: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """(n, n) orthonormal matrix of the discrete cosine transform II.

    Example:
        >>> d = dct_matrix(4)
        >>> bool(torch.allclose(d @ d.T, torch.eye(4), atol=1e-6))
        True
    """
    k = torch.arange(n, dtype=torch.float64)
    matrix = sqrt(2 / n) * torch.cos(pi / n * (k + 0.5) * k[:, None])
    matrix[0] /= sqrt(2)
    return matrix.to(dtype)


def to_spectrum(x: Tensor) -> Tensor:
    """(..., h, w) images to their cosine coefficients."""
    rows, columns = (dct_matrix(n, x.dtype).to(x.device) for n in x.shape[-2:])
    return rows @ x @ columns.T


def from_spectrum(spectrum: Tensor) -> Tensor:
    """The inverse of `to_spectrum`."""
    rows, columns = (dct_matrix(n, spectrum.dtype).to(spectrum.device) for n in spectrum.shape[-2:])
    return rows.T @ spectrum @ columns


def spectral_view(z: Tensor, descent: Descent, sigma: float = 16 / 255, rho: float = 0.5) -> Tensor:
    """A random view of SSA: noise added, and each coefficient scaled by 1 - rho to 1 + rho.

    Long et al., "Frequency domain model augmentation for adversarial attack", ECCV 2022,
    arXiv:2207.05382, eq. 8.
    """
    noise = torch.randn(z.shape, generator=descent.generator, dtype=z.dtype).to(z.device)
    spectrum = to_spectrum(z + sigma * noise)
    return from_spectrum(spectrum * (1 + descent.uniform(spectrum, rho)))
