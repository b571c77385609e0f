"""FER2013 with ten times as many faces to fit on: those of victim training, too."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from priemo_bench.contracts.dataset import FaceSet, Split
from priemo_bench.data.fer2013 import Fer2013


@dataclass
class WideFer2013(Fer2013):
    """`Fer2013` whose fit split is all of Training but the choice part.

    For attacks that learn from many faces, such as generators. Surrogates that were trained on
    FER2013 know most of these faces, and are surer of them than of others; the test split is that
    of `Fer2013`.
    """

    name: str = field(default="fer2013-wide", init=False)

    def split(self, split: Split) -> FaceSet:
        """One of the four splits, as `Fer2013.split`; fit and train are not disjoint."""
        faces = super().split(split)
        if split == "fit":
            faces = _joined(faces, super().split("train"))
        return replace(faces, name=self.name)


def _joined(faces: FaceSet, more: FaceSet) -> FaceSet:
    """Both sets as one, sorted by id."""
    ids = np.concatenate([faces.ids, more.ids])
    rows = np.argsort(ids, kind="stable")
    images, labels = (
        np.concatenate([getattr(faces, name), getattr(more, name)])[rows]
        for name in ("images", "labels")
    )
    columns = pd.concat([faces.columns, more.columns], ignore_index=True)
    return replace(
        faces, images=images, labels=labels, ids=ids[rows], persons=ids[rows],
        columns=columns.iloc[rows].reset_index(drop=True), notes=more.notes,
    )  # fmt: skip
