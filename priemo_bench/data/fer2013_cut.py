"""How FER2013 Training was cut into victim training, epoch choice and attack fit.

`python -m priemo_bench.data.fer2013_cut CSV_OR_FOLDER OUT.npz` makes the committed list again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from priemo_bench.contracts.image import EMOTIONS, ByteImages, Labels
from priemo_bench.data.fer2013 import Fer2013
from priemo_bench.data.fer2013_split import PARTS, Parts, RowList, difference_hash
from priemo_bench.data.near_copies import groups

HELD_OUT: Mapping[str, int] = {"choice": 2500, "fit": 2500}
SEED = 2013


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


def make(images: ByteImages, labels: Labels, held_out: Mapping[str, int] = HELD_OUT) -> RowList:
    """The list for these Training faces (n, 1, 48, 48), sorted by hash."""
    keys, parts = difference_hash(images), cut(labels, groups(images), held_out)
    order = np.lexsort(keys.T)
    return RowList(keys[order], parts[order])


def main(source: str, out: str) -> None:
    """Make the list from a copy of FER2013 and print its counts."""
    training = Fer2013(Path(source)).training
    rows = make(training.images, training.labels)
    rows.save(Path(out))
    print({name: int((rows.parts == i).sum()) for i, name in enumerate(PARTS)})


if __name__ == "__main__":
    main(*sys.argv[1:])
