"""The subset of a face set that a limited run looks at: the same for every row of every run."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import numpy.typing as npt

from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.errors import PriemoError


def sample(faces: FaceSet, limit: int | None, seed: int = 0) -> FaceSet:
    """`limit` of the faces (all of them for None, or where there are fewer), in their order.

    Where persons are known they are drawn person by person, so that all but the last are complete.
    Elsewhere faces are drawn at random, after all faces of the rarest emotion (at most a seventh
    of `limit`). Chance depends on ids alone: a smaller sample is part of a larger one but for the
    share of the rarest emotion, and the order of the set makes no difference.

    Raises:
        PriemoError: `limit` is not positive.
    """
    if limit is None:
        return faces
    if limit < 1:
        raise PriemoError(f"limit is {limit}; it must be at least one face")
    if limit >= len(faces):
        return faces
    if (faces.persons != faces.ids).any():
        chance = _chance(faces.persons, seed)
        chosen = np.lexsort((np.arange(len(faces)), chance))[:limit]
    else:
        chosen = _with_rarest(faces.labels, _chance(faces.ids, seed), limit)
    return faces.take(np.sort(chosen))


def _chance(names: npt.NDArray[np.str_], seed: int) -> npt.NDArray[np.str_]:
    """A digest per name: sorting by it is a shuffle that depends on `seed` and the names only."""
    return np.array([sha256(f"{seed}:{name}".encode()).hexdigest() for name in names])


def _with_rarest(
    labels: npt.NDArray[np.int64], chance: npt.NDArray[np.str_], limit: int
) -> npt.NDArray[np.int64]:
    present, counts = np.unique(labels, return_counts=True)
    order = np.argsort(chance)
    rarest = order[labels[order] == present[counts.argmin()]][: -(-limit // len(EMOTIONS))]
    rest = order[~np.isin(order, rarest)]
    return np.concatenate([rarest, rest])[:limit]
