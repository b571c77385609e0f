"""A grid of original faces, the change of each, and the published bytes; made-up persons only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from priemo_bench.contracts.examples import Examples
from priemo_bench.contracts.image import EMOTIONS, ByteImages
from priemo_bench.contracts.storage import write_file
from priemo_bench.report.faces import AMPLIFIED, picture, save_faces
from priemo_bench.report.files import FIGURES

ATTACKS = 2
GAP = 4
LEFT, TOP = 110, 16
"""Pixels for the names of attacks and emotions."""

FILE = "grid.png"
CAPTION = (
    "One face per emotion; below the originals, for each attack its change (amplified "
    f"{AMPLIFIED} times) and the published bytes. Made-up persons."
)
"""On the page, where a run has left FILE among its figures."""


def save_examples(examples: Sequence[Examples], out: Path) -> None:
    """Write `faces/` and figures/grid.png into the folder of a run."""
    save_faces(examples, out)
    save_grid(examples, out / FIGURES / FILE)


def save_grid(examples: Sequence[Examples], path: Path) -> None:
    """Write a PNG: a column per emotion, two rows for each of ATTACKS below the originals.

    Nothing is written without examples.
    """
    bands: list[tuple[str, ByteImages]] = []
    for own in examples[:ATTACKS]:
        bands += [] if bands else [("original", own.originals)]
        bands.append((f"{own.cell['attack']}\nchange x{AMPLIFIED}", own.change(AMPLIFIED)))
        bands.append((own.cell["attack"], own.published))
    if bands:
        emotions = [EMOTIONS[int(label)] for label in examples[0].labels]
        sheet = _sheet(bands, emotions)
        write_file(path, lambda file: sheet.save(file, "PNG", optimize=True))


def _sheet(bands: Sequence[tuple[str, ByteImages]], emotions: Sequence[str]) -> Image.Image:
    n, _, height, width = bands[0][1].shape
    size = (LEFT + n * (width + GAP), TOP + len(bands) * (height + GAP))
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for j, emotion in enumerate(emotions):
        draw.text((LEFT + j * (width + GAP), 2), emotion, fill="black")
    for i, (name, band) in enumerate(bands):
        top = TOP + i * (height + GAP)
        draw.text((2, top + height // 2), name, fill="black")
        for j, image in enumerate(band):
            sheet.paste(picture(image), (LEFT + j * (width + GAP), top))
    return sheet
