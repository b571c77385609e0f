"""The committed cut of FER2013 Training into victim training, epoch choice and attack fit.

Copies of FER2013 differ in row order and, by JPEG, in grey levels; so the list keeps no row numbers
but a 128-bit difference hash of every Training face, and a face is looked up by its hash. No image
can be read back from it; cut.py made it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from priemo_bench.contracts.image import ByteImages
from priemo_bench.data.near_copies import block_means

PARTS = ("train", "choice", "fit")
FILE = Path(__file__).parent / "files" / "fer2013_rows.npz"

TOLERANCE = 12
"""Bits of 128 in which the hashes of one face may differ between two copies of FER2013."""

Keys = npt.NDArray[np.uint8]
Parts = npt.NDArray[np.int8]


def difference_hash(images: ByteImages) -> Keys:
    """(n, c, h, w) uint8 to (n, 16) bytes: is each of 8x8 blocks brighter than its neighbour?

    Neighbours to the left and above, around the edge. Blind to brightness, contrast and size.
    """
    x = np.rint(block_means(images, 8) * 256)  # blocks of one mean are equal on every processor
    brighter = np.stack([x > np.roll(x, 1, 2), x > np.roll(x, 1, 1)], 1)
    return np.packbits(brighter.reshape(len(x), 128), axis=1)


@dataclass(frozen=True)
class RowList:
    """Hashes (n, 16) uint8 of the Training faces and their parts (n,), indices into PARTS."""

    keys: Keys
    parts: Parts

    @classmethod
    def load(cls, path: Path = FILE) -> RowList:
        """The committed list, or another that `save` wrote."""
        with np.load(path, allow_pickle=False) as data:
            return cls(data["keys"], data["parts"])

    def save(self, path: Path) -> None:
        """Write a compressed .npz without pickles."""
        np.savez_compressed(path, keys=self.keys, parts=self.parts)

    def find(self, images: ByteImages) -> Parts:
        """(n,) part of each image: that of the nearest hash; -1 where none is within TOLERANCE."""
        keys = difference_hash(images)
        known = dict(zip(map(bytes, self.keys), self.parts, strict=True))
        parts = np.array([known.get(bytes(key), -1) for key in keys], np.int8)
        rest = np.flatnonzero(parts < 0)
        for i in range(0, len(rest), 1024):
            rows = rest[i : i + 1024]
            parts[rows] = self._nearest(keys[rows])
        return parts

    def _nearest(self, keys: Keys) -> Parts:
        agreement = _signs(keys) @ _signs(self.keys).T  # 128 - 2 * bits that differ
        best = agreement.argmax(1)
        near = agreement.max(1) >= 128 - 2 * TOLERANCE
        return np.where(near, self.parts[best], -1).astype(np.int8)


def _signs(keys: Keys) -> npt.NDArray[np.float32]:
    return np.unpackbits(keys, axis=1).astype(np.float32) * 2 - 1
