"""PNG written fast: one filter for all rows, and the zlib of ISA-L.

Portable Network Graphics, third edition (W3C 2025), sections 9 to 11. Pillow searches for the best
filter of each row: its files are smaller, and take longer.
"""

from __future__ import annotations

from struct import pack

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

UP = 2
"""Filter that subtracts the row above."""
COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}
"""By the number of channels: grey, with alpha, RGB, with alpha."""


def png(
    pixels: npt.NDArray[np.uint8],
    profile: bytes | None = None,
    exif: bytes | None = None,
    xmp: bytes | None = None,
) -> bytes:
    """A picture (h, w, 1 to 4 channels) as a PNG file.

    Args:
        profile: ICC profile. exif: as in a JPEG file, with or without its head. xmp: UTF-8.

    Example:
        >>> import io
        >>> from PIL import Image
        >>> x = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
        >>> np.array_equal(Image.open(io.BytesIO(png(x))), x)
        True
    """
    height, width, channels = pixels.shape
    rows = np.ascontiguousarray(pixels).reshape(height, -1)
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    data = isal_zlib.compress(filtered.data, 1)
    parts = [b"\x89PNG\r\n\x1a\n"]
    parts.append(_chunk(b"IHDR", pack(">2I5B", width, height, 8, COLOUR_TYPE[channels], 0, 0, 0)))
    if profile:
        parts.append(_chunk(b"iCCP", b"ICC Profile\0\0" + isal_zlib.compress(profile)))
    if exif:
        parts.append(_chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")))
    if xmp:
        parts.append(_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp))
    return b"".join([*parts, _chunk(b"IDAT", data), _chunk(b"IEND", b"")])


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = isal_zlib.crc32(data, isal_zlib.crc32(kind))
    return pack(">I", len(data)) + kind + data + pack(">I", check)
