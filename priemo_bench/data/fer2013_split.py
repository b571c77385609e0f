"""How FER2013 Training is split into victim training, epoch choice and attack fitting.

The split is random, stratified by emotion, with near copies kept together, and committed as a row
list. Copies of FER2013 differ in row order and, by JPEG, in grey levels; so the list holds no row
numbers but a 128-bit difference hash of every Training face, from which no image can be recovered.

    python -m priemo_bench.data.fer2013_split CSV_OR_FOLDER OUT.npz

makes the committed list again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from priemo_bench import registry
from priemo_bench.contracts.dataset import Split
from priemo_bench.contracts.image import EMOTIONS, ByteImages, Labels
from priemo_bench.data.near_copies import block_means, groups

PARTS: tuple[Split, ...] = ("train", "choice", "fit")
HELD_OUT: Mapping[Split, int] = {"choice": 2500, "fit": 2500}
"""Faces of each part besides "train"."""
SEED = 2013
FILE = Path(__file__).parent / "files" / "fer2013_rows.npz"

TOLERANCE = 12
"""Bits of 128 in which the hashes of one face may differ between two copies of FER2013."""

Hashes = npt.NDArray[np.uint8]
Parts = npt.NDArray[np.int8]


def difference_hash(images: ByteImages) -> Hashes:
    """(n, c, h, w) uint8 to (n, 16) bytes: is each of 8x8 blocks brighter than its neighbour?

    Compared with the neighbours to the left and above, wrapping around the edges. Invariant to
    brightness and contrast, nearly so to size.
    """
    x = np.rint(block_means(images, 8) * 256)  # rounded: equal means compare equal on every CPU
    brighter = np.stack([x > np.roll(x, 1, 2), x > np.roll(x, 1, 1)], 1)
    return np.packbits(brighter.reshape(len(x), 128), axis=1)


def split_groups(
    labels: Labels,
    group: npt.NDArray[np.integer],
    held_out: Mapping[Split, int] = HELD_OUT,
    seed: int = SEED,
) -> Parts:
    """Split faces into PARTS at random, stratified by emotion, each group of copies in one part.

    Args:
        labels: (n,) indices into EMOTIONS.
        group: (n,) group numbers of near copies.
        held_out: faces of each part besides "train".
        seed: of the order in which groups are assigned.

    Returns:
        (n,) indices into PARTS.
    """
    counts = np.zeros((group.max() + 1, len(EMOTIONS)), np.int64)
    np.add.at(counts, (group, labels), 1)
    order = np.random.default_rng(seed).permutation(len(counts))
    part_of = np.zeros(len(counts), np.int8)
    for part, total in held_out.items():
        room = _quotas(counts.sum(0), total)
        for g in order[part_of[order] == 0]:
            if (counts[g] <= room).all():
                room -= counts[g]
                part_of[g] = PARTS.index(part)
    parts: Parts = part_of[group]
    return parts


def _quotas(counts: npt.NDArray[np.int64], total: int) -> npt.NDArray[np.int64]:
    """`total` divided in proportion to `counts`, by largest remainders."""
    exact = counts * total / counts.sum()
    quotas: npt.NDArray[np.int64] = np.floor(exact).astype(np.int64)
    quotas[np.argsort(quotas - exact)[: total - quotas.sum()]] += 1
    return quotas


@dataclass(frozen=True)
class RowList:
    """Hashes (n, 16) uint8 of the Training faces and their parts (n,), indices into PARTS."""

    keys: Hashes
    parts: Parts

    @classmethod
    def make(
        cls, images: ByteImages, labels: Labels, held_out: Mapping[Split, int] = HELD_OUT
    ) -> RowList:
        """Split these Training faces (n, 1, 48, 48) and list them, sorted by hash."""
        keys, parts = difference_hash(images), split_groups(labels, groups(images), held_out)
        order = np.lexsort(keys.T)
        return cls(keys[order], parts[order])

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

    def _nearest(self, keys: Hashes) -> Parts:
        agreement = _signs(keys) @ _signs(self.keys).T  # 128 - 2 * bits that differ
        best = agreement.argmax(1)
        near = agreement.max(1) >= 128 - 2 * TOLERANCE
        return np.where(near, self.parts[best], -1).astype(np.int8)


def _signs(keys: Hashes) -> npt.NDArray[np.float32]:
    return np.unpackbits(keys, axis=1).astype(np.float32) * 2 - 1


def main(source: str, out: str) -> None:
    """Make the list from a copy of FER2013 and print its counts."""
    training = registry.get("datasets", "fer2013")(Path(source)).training
    rows = RowList.make(training.images, training.labels)
    rows.save(Path(out))
    print({name: int((rows.parts == i).sum()) for i, name in enumerate(PARTS)})


if __name__ == "__main__":
    main(*sys.argv[1:])
