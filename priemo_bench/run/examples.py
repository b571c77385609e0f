"""One face per emotion of what a run published, for the figure of its page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from priemo_bench.contracts.image import ByteImages
from priemo_bench.run.execute import published
from priemo_bench.run.perturb import Workplace
from priemo_bench.run.plan import Cell

SHOWABLE = ("rendered",)
"""Data sets without photographs of persons: only their faces are ever put on a page."""
ATTACKS = 4

Example = tuple[ByteImages, ByteImages]
"""Originals and published images, (k, c, h, w) each, an emotion in each row."""


def examples(cells: Sequence[Cell], place: Workplace) -> dict[str, Example]:
    """By attack, from its first finished untargeted cell under the equal budget; ATTACKS at most.

    Empty where no such cell is of a showable data set.
    """
    chosen: dict[str, Cell] = {}
    for cell in cells:
        showable = cell.dataset in SHOWABLE and cell.target < 0 and cell.budget == "equal"
        if (
            showable
            and cell.scale != "one"
            and cell.attack != "nothing"
            and place.store.has_images(cell.key)
        ):
            chosen.setdefault(cell.attack, cell)
    found = {}
    for name, cell in list(chosen.items())[:ATTACKS]:
        faces = place.context.test_faces(cell)
        _, first = np.unique(faces.labels, return_index=True)
        images = np.concatenate(list(published(cell, place)))
        found[name] = faces.images[first], images[first]
    return found
