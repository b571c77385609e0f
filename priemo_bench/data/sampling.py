"""The subset of a face set that a limited run uses: the same for every row of every run."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import numpy.typing as npt

from priemo_bench.contracts.dataset import FaceSet, Strings
from priemo_bench.contracts.image import EMOTIONS, Labels
from priemo_bench.errors import PriemoError


def sample(faces: FaceSet, limit: int | None, seed: int = 0) -> FaceSet:
    """A random sample of `limit` faces (all of them for None, or where there are fewer).

    Where persons are known, they are sampled one after another with all their faces, so that only
    the last may be incomplete. Otherwise faces of the rarest emotion come first (at most a seventh
    of `limit`), then others at random. The sample depends on ids and `seed` only, not on the order
    of `faces`, which it keeps; a smaller sample is part of a larger one but for the share of the
    rarest emotion.

    Raises:
        PriemoError: `limit` is not positive.

    Example:
        >>> from priemo_bench.data.rendered import Rendered
        >>> sample(Rendered().split("test"), 70)
        FaceSet('rendered', 'test', n=70, shape=(3, 112, 112))
    """
    if limit is None:
        return faces
    if limit < 1:
        raise PriemoError(f"limit is {limit}; it must be at least one face")
    if limit >= len(faces):
        return faces
    if (faces.persons != faces.ids).any():
        keys = _shuffle_keys(faces.persons, seed)
        chosen = np.lexsort((np.arange(len(faces)), keys))[:limit]
    else:
        chosen = _with_rarest(faces.labels, _shuffle_keys(faces.ids, seed), limit)
    return faces.take(np.sort(chosen))


def _shuffle_keys(names: Strings, seed: int) -> Strings:
    """A digest per name: sorting by it is a shuffle that depends on `seed` and the names only."""
    return np.array([sha256(f"{seed}:{name}".encode()).hexdigest() for name in names])


def _with_rarest(labels: Labels, keys: Strings, limit: int) -> npt.NDArray[np.int64]:
    """`limit` rows in the order of `keys`, those of the rarest emotion first."""
    present, counts = np.unique(labels, return_counts=True)
    order = np.argsort(keys)
    rarest = order[labels[order] == present[counts.argmin()]][: -(-limit // len(EMOTIONS))]
    rest = order[~np.isin(order, rarest)]
    return np.concatenate([rarest, rest])[:limit]
