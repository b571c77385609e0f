"""A grid of original, amplified perturbation and protected image; made-up persons only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from priemo_bench.images import EMOTIONS, Bytes
from priemo_bench.lab import Lab
from priemo_bench.plan import Cell
from priemo_bench.store import Store, write

SHOWABLE = ("rendered",)
"""Data sets without photographs of persons: only their faces are ever put on a page."""
AMPLIFIED = 20
ATTACKS, GAP = 4, 4
LEFT, TOP = 110, 16
"""Pixels for the names of attacks and emotions."""
COLOURS = 128


def save_grid(cells: Sequence[Cell], lab: Lab, store: Store) -> None:
    """Write figures/grid.png: a face per emotion in a column, two rows for each attack.

    The top row are the originals. Nothing is written where no showable cell is finished.
    """
    chosen: dict[str, Cell] = {}
    for cell in cells:
        showable = cell.dataset in SHOWABLE and cell.target < 0 and cell.budget == "equal"
        if showable and cell.scale != "one" and cell.attack != "nothing" and store.done(cell.key):
            chosen.setdefault(cell.attack, cell)
    bands: dict[str, Bytes] = {}
    for name, cell in list(chosen.items())[:ATTACKS]:
        x, change, y = _faces(cell, lab, store)
        bands |= {"original": x, f"{name}\nchange x{AMPLIFIED}": change, name: y}
    if bands:
        _save(_sheet(bands), store)


def _faces(cell: Cell, lab: Lab, store: Store) -> tuple[Bytes, Bytes, Bytes]:
    """Original, amplified change, protected: one face per emotion, (7, 3, h, w) each."""
    faces = lab.test_faces(cell)
    _, rows = np.unique(faces.labels, return_index=True)
    x = faces.images[rows]
    y = store.images(cell.key, faces.images)[rows]
    change = 127.5 + AMPLIFIED * (y.astype(np.float32) - x)
    return x, change.clip(0, 255).astype(np.uint8), y


def _sheet(bands: dict[str, Bytes]) -> Image.Image:
    n, _, height, width = next(iter(bands.values())).shape
    size = (LEFT + n * (width + GAP), TOP + len(bands) * (height + GAP))
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for j, emotion in enumerate(EMOTIONS[:n]):
        draw.text((LEFT + j * (width + GAP), 2), emotion, fill="black")
    for i, (name, band) in enumerate(bands.items()):
        top = TOP + i * (height + GAP)
        draw.text((2, top + height // 2), name, fill="black")
        for j, image in enumerate(band):
            pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
            sheet.paste(
                Image.fromarray(np.ascontiguousarray(pixels)), (LEFT + j * (width + GAP), top)
            )
    return sheet


def _save(sheet: Image.Image, store: Store) -> None:
    picture = sheet.quantize(COLOURS)
    path = store.out / "figures" / "grid.png"
    write(path, lambda file: picture.save(file, "PNG", optimize=True))
