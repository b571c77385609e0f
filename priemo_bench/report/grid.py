"""A grid of original, amplified perturbation and protected image; made-up persons only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from priemo_bench.images import Bytes
from priemo_bench.lab import Lab
from priemo_bench.plan import Cell
from priemo_bench.store import Store, write

SHOWABLE = ("rendered",)
"""Data sets without photographs of persons: only their faces are ever put on a page."""
AMPLIFIED = 20
ATTACKS, GAP = 4, 4


def save_grid(cells: Sequence[Cell], lab: Lab, store: Store) -> None:
    """Write figures/grid.png: a face per emotion in a column, an attack per pair of rows.

    The top row are the originals. Nothing is written where no showable cell is finished.
    """
    chosen: dict[str, Cell] = {}
    for cell in cells:
        showable = cell.dataset in SHOWABLE and cell.target < 0 and cell.budget == "equal"
        if showable and cell.scale != "one" and cell.attack != "nothing" and store.done(cell.key):
            chosen.setdefault(cell.attack, cell)
    if not chosen:
        return
    cells = list(chosen.values())[:ATTACKS]
    columns = [_strip(cell, lab, store) for cell in cells]
    bands = [columns[0][0], *(band for strip in columns for band in strip[1:])]
    _save(bands, store)


def _strip(cell: Cell, lab: Lab, store: Store) -> tuple[Bytes, Bytes, Bytes]:
    """Original, amplified change, protected: one face per emotion, (7, 3, h, w) each."""
    faces = lab.test_faces(cell)
    _, rows = np.unique(faces.labels, return_index=True)
    x = faces.images[rows]
    y = store.images(cell.key, faces.images)[rows]
    change = 127.5 + AMPLIFIED * (y.astype(np.float32) - x)
    return x, change.clip(0, 255).astype(np.uint8), y


def _save(bands: Sequence[Bytes], store: Store) -> None:
    n, channels, height, width = bands[0].shape
    sheet = np.full(
        (len(bands) * (height + GAP) - GAP, n * (width + GAP) - GAP, channels), 255, np.uint8
    )
    for i, band in enumerate(bands):
        for j, image in enumerate(band):
            top, left = i * (height + GAP), j * (width + GAP)
            sheet[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    picture = Image.fromarray(sheet if channels == 3 else sheet[..., 0])
    picture = picture.quantize(256) if channels == 3 else picture
    path = store.out / "figures" / "grid.png"
    write(path, lambda file: picture.save(file, "PNG", optimize=True))
