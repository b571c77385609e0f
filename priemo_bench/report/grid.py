"""A grid of original, amplified perturbation and protected image; made-up persons only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from priemo_bench.contracts.image import EMOTIONS, ByteImages
from priemo_bench.contracts.storage import write_file

AMPLIFIED = 20
GAP = 4
LEFT, TOP = 110, 16
"""Pixels for the names of attacks and emotions."""
COLOURS = 128

FILE = "grid.png"
CAPTION = (
    "One face per emotion; below the originals, for each attack its perturbation (amplified "
    f"{AMPLIFIED} times) and the published image. Made-up persons."
)
"""On the page, where a run has left FILE among its figures."""


def save_grid(examples: Mapping[str, tuple[ByteImages, ByteImages]], path: Path) -> None:
    """Write a PNG: a column per emotion, two rows per attack below the originals.

    Nothing is written without examples.

    Args:
        examples: by attack, originals and published images, (k, c, h, w) uint8 in emotion order.
    """
    bands: dict[str, ByteImages] = {}
    for name, (x, y) in examples.items():
        change = 127.5 + AMPLIFIED * (y.astype(np.float32) - x)
        amplified = change.clip(0, 255).astype(np.uint8)
        bands |= {"original": x, f"{name}\nchange x{AMPLIFIED}": amplified, name: y}
    if bands:
        picture = _sheet(bands).quantize(COLOURS)
        write_file(path, lambda file: picture.save(file, "PNG", optimize=True))


def _sheet(bands: dict[str, ByteImages]) -> Image.Image:
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
