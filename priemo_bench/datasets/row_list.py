"""The committed cut of FER2013 Training into victim training, epoch choice and attack fit.

Copies of FER2013 differ in row order and, by JPEG, in grey levels; so the list keeps no row numbers
but a 128-bit difference hash of every Training face, and a face is looked up by its hash. No image
can be read back from it. `python -m priemo_bench.datasets.row_list CSV_OR_FOLDER OUT.npz` makes the
list again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from priemo_bench.datasets.near_copies import block_means, groups
from priemo_bench.images import EMOTIONS, Bytes, Labels

PARTS = ("train", "choice", "fit")
HELD_OUT: Mapping[str, int] = {"choice": 2500, "fit": 2500}
SEED = 2013
FILE = Path(__file__).parent / "data" / "fer2013_rows.npz"

TOLERANCE = 12
"""Bits of 128 in which the hashes of one face may differ between two copies of FER2013."""

Keys = npt.NDArray[np.uint8]
Parts = npt.NDArray[np.int8]


def difference_hash(images: Bytes) -> Keys:
    """(n, c, h, w) uint8 to (n, 16) bytes: is each of 8x8 blocks brighter than its neighbour?

    Neighbours to the left and above, around the edge. Blind to brightness, contrast and size.
    """
    x = block_means(images, 8)
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

    def find(self, images: Bytes) -> Parts:
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


def cut(
    labels: Labels,
    group: npt.NDArray[np.int32],
    held_out: Mapping[str, int] = HELD_OUT,
    seed: int = SEED,
) -> Parts:
    """Cut faces into PARTS at random, stratified by emotion, every group of copies in one part.

    Args:
        labels: (n,) indices into EMOTIONS.
        group: (n,) group numbers of near copies.
        held_out: faces of each part besides "train".
        seed: of the order in which groups are taken.

    Returns:
        (n,) indices into PARTS.
    """
    counts = np.zeros((group.max() + 1, len(EMOTIONS)), np.int64)
    np.add.at(counts, (group, labels), 1)
    order = np.random.default_rng(seed).permutation(len(counts))
    part_of = np.zeros(len(counts), np.int8)
    for part, total in held_out.items():
        room = _shares(counts.sum(0), total)
        for g in order[part_of[order] == 0]:
            if (counts[g] <= room).all():
                room -= counts[g]
                part_of[g] = PARTS.index(part)
    return part_of[group]


def _shares(counts: npt.NDArray[np.int64], total: int) -> npt.NDArray[np.int64]:
    """`total` divided in proportion to `counts`, by largest remainders."""
    exact = counts * total / counts.sum()
    shares = np.floor(exact).astype(np.int64)
    shares[np.argsort(shares - exact)[: total - shares.sum()]] += 1
    return shares


def make(images: Bytes, labels: Labels, held_out: Mapping[str, int] = HELD_OUT) -> RowList:
    """The list for these Training faces (n, 1, 48, 48), sorted by hash."""
    keys, parts = difference_hash(images), cut(labels, groups(images), held_out)
    order = np.lexsort(keys.T)
    return RowList(keys[order], parts[order])


def main(source: str, out: str) -> None:
    """Make the list from a copy of FER2013 and print its counts."""
    from priemo_bench.datasets.fer2013 import Fer2013

    training = Fer2013(Path(source)).training
    rows = make(training.images, training.labels)
    rows.save(Path(out))
    print({name: int((rows.parts == i).sum()) for i, name in enumerate(PARTS)})


if __name__ == "__main__":
    main(*sys.argv[1:])
