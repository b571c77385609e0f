"""One face per emotion of what a run published, for its page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from priemo_bench.contracts.budgets import EQUAL
from priemo_bench.contracts.columns import METHOD
from priemo_bench.contracts.examples import Examples
from priemo_bench.run.execute import published
from priemo_bench.run.perturb import Workplace
from priemo_bench.run.plan import Cell

SHOWABLE = ("rendered",)
"""Data sets without photographs of persons: only their faces are ever put on a page."""
ATTACKS = 4


def examples(cells: Sequence[Cell], place: Workplace) -> list[Examples]:
    """Of ATTACKS attacks at most, each from its first finished untargeted cell at the first floor.

    Empty where no such cell is of a showable data set.
    """
    chosen: dict[str, Cell] = {}
    for cell in cells:
        showable = cell.dataset in SHOWABLE and cell.target < 0 and cell.budget == EQUAL
        if (
            showable
            and cell.scale != "one"
            and cell.attack != "nothing"
            and place.store.has_images(cell.key)
        ):
            chosen.setdefault(cell.attack, cell)
    found = []
    for cell in list(chosen.values())[:ATTACKS]:
        faces = place.context.test_faces(cell)
        labels, first = np.unique(faces.labels, return_index=True)
        images = np.concatenate(list(published(cell, place)))
        names = tuple(str(faces.ids[at]) for at in first)
        named = {name: getattr(cell, name) for name in METHOD}
        row = {**named, "surrogate": cell.surrogate, "target": "-"}
        found.append(Examples(row, cell.seed, names, labels, faces.images[first], images[first]))
    return found
