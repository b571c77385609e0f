"""A differentiable stand-in of block coding, as of JPEG.

Transform, quantisation and chroma at half the resolution as in the standard (ITU-T T.81), with
rounding replaced by round(v) + (v - round(v))^3, whose slope is not zero (Shin & Song 2017,
"JPEG-resistant Adversarial Images", NIPS workshop on machine learning and computer security).
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Table = npt.NDArray[np.float32]

TO_YCBCR = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)
"""JFIF: full range, chroma around 0."""


def soft_round(v: torch.Tensor) -> torch.Tensor:
    """Near the integers, with a slope: round(v) + (v - round(v))^3."""
    nearest = v.detach().round()
    return nearest + (v - nearest) ** 3


def soft_coded(x: torch.Tensor, luma: Table | None, chroma: Table | None) -> torch.Tensor:
    """Images as block coding leaves them.

    Args:
        x: (n, 1 or 3, h, w) floats in [0, 1], any size.
        luma, chroma: (side, side) steps of quantisation on a scale of 0 to 255, for the orthonormal
            cosine transform of blocks of that side; None for no quantisation.

    Returns:
        (n, 1 or 3, h, w) floats in [0, 1].
    """
    import torch

    levels = x * 255
    if x.shape[1] == 1:
        return ((_blockwise(levels - 128, luma) + 128) / 255).clamp(0, 1)
    matrix = torch.as_tensor(TO_YCBCR, dtype=x.dtype, device=x.device)
    planes = torch.einsum("ij,njhw->nihw", matrix, levels)
    brightness = _blockwise(planes[:, :1] - 128, luma) + 128
    colour = _at_half_resolution(planes[:, 1:], chroma)
    both = torch.cat([brightness, colour], 1)
    rgb = torch.einsum("ij,njhw->nihw", torch.linalg.inv(matrix), both)
    return (rgb / 255).clamp(0, 1)


def _at_half_resolution(planes: torch.Tensor, table: Table | None) -> torch.Tensor:
    """Averaged 2 x 2, coded, and back by bilinear interpolation (libjpeg's "fancy" upsampling)."""
    import torch.nn.functional as F

    h, w = planes.shape[2:]
    even = F.pad(planes, (0, w % 2, 0, h % 2), mode="replicate")
    coded = _blockwise(F.avg_pool2d(even, 2), table)
    return F.interpolate(coded, scale_factor=2, mode="bilinear")[..., :h, :w]


def _blockwise(plane: torch.Tensor, table: Table | None) -> torch.Tensor:
    """(n, c, h, w) levels, transformed, softly quantised and back; padded to whole blocks."""
    import torch
    import torch.nn.functional as F

    if table is None:
        return plane
    n, c, h, w = plane.shape
    side = len(table)
    whole = F.pad(plane, (0, -w % side, 0, -h % side), mode="replicate")
    rows, columns = whole.shape[2] // side, whole.shape[3] // side
    blocks = whole.reshape(n, c, rows, side, columns, side).transpose(3, 4)
    transform = torch.as_tensor(_cosines(side), dtype=plane.dtype, device=plane.device)
    steps = torch.as_tensor(table, dtype=plane.dtype, device=plane.device)
    quantised = soft_round(transform @ blocks @ transform.T / steps) * steps
    back = (transform.T @ quantised @ transform).transpose(3, 4)
    return back.reshape(n, c, rows * side, columns * side)[..., :h, :w]


@lru_cache
def _cosines(side: int) -> Table:
    from scipy.fft import dct

    matrix: Table = dct(np.eye(side, dtype=np.float32), norm="ortho", axis=0)
    return matrix


@lru_cache
def jpeg_tables(quality: int) -> tuple[Table, Table]:
    """Steps of luma and chroma, 8 x 8, as Pillow writes them into a file of that quality."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "jpeg", quality=quality)
    with Image.open(file) as picture:
        tables = picture.quantization  # type: ignore[attr-defined]
    luma, chroma = (np.array(tables[i], np.float32).reshape(8, 8) for i in (0, 1))
    return luma, chroma
