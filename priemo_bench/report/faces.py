"""Faces of a run, to be looked at: published bytes of made-up persons, and what is read in them.

`faces/` beside the page has each original and published image as PNG at its own size, and
`faces.csv`, which says which is which; the page shows them with the readings of the rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from priemo_bench.contracts.columns import PROBABILITIES, ROW
from priemo_bench.contracts.examples import Examples
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.storage import storage_errors, write_file, write_text
from priemo_bench.report.rendering import data_uri

FOLDER, LIST = "faces", "faces.csv"
COLUMNS = (*ROW, "seed", "image", "label", "original", "published")
AMPLIFIED = 20
"""How many times a change is amplified where it is shown."""


@dataclass(frozen=True)
class Reading:
    """What a victim reads in a face, clean and published; confidences are NaN where not known."""

    victim: str
    clean: str
    published: str
    clean_confidence: float
    published_confidence: float


@dataclass(frozen=True)
class Face:
    """A face of a run, and what is shown of it.

    Attributes:
        attack, surrogate: of the cell that published it. image: its name. emotion: its label.
        original, published: data URIs. readings: of every victim that was shown it.
    """

    attack: str
    surrogate: str
    image: str
    emotion: str
    original: str
    published: str
    readings: tuple[Reading, ...]


def save_faces(examples: Sequence[Examples], out: Path) -> None:
    """Write `faces/` into the folder of a run, in the place of what was there before."""
    folder = out / FOLDER
    with storage_errors(folder):
        for path in [*folder.glob("*.png"), *folder.glob(LIST)]:
            path.unlink()
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    originals: dict[tuple[str, str], str] = {}
    for number, own in enumerate(examples):
        for at, image in enumerate(own.images):
            emotion, key = EMOTIONS[int(own.labels[at])], (own.cell["dataset"], image)
            if key not in originals:
                originals[key] = f"original-{len(originals)}-{emotion}.png"
                _save(own.originals[at], folder / originals[key])
            published = f"published-{number}-{emotion}.png"
            _save(own.published[at], folder / published)
            table.writerow(
                {**own.cell, "seed": own.seed, "image": image, "label": emotion,
                 "original": originals[key], "published": published}
            )  # fmt: skip
    if originals:
        write_text(folder / LIST, text.getvalue())


def picture(image: npt.NDArray[np.uint8]) -> Image.Image:
    """A picture of (c, h, w) bytes."""
    pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(pixels))


def _save(image: npt.NDArray[np.uint8], path: Path) -> None:
    write_file(path, lambda file: picture(image).save(file, "PNG", optimize=True))


def load_faces(out: Path, frame: pd.DataFrame) -> list[Face]:
    """The faces in the folder of a run, with what its rows (`frame`) say is read in them.

    Faces whose pictures or rows are not there are left out.
    """
    try:
        with (out / FOLDER / LIST).open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error):
        return []
    found = []
    for line in lines:
        names = [line.get(name) or "" for name in ("original", "published")]
        if any(Path(name).name != name for name in names):
            continue  # of another folder
        original, published = (data_uri(out / FOLDER / name) for name in names)
        if original and published and set(COLUMNS) <= set(line):
            readings = _readings(frame, line)
            found.append(
                Face(line["attack"], line["surrogate"], line["image"], line["label"], original,
                     published, readings)
            )  # fmt: skip
    return [face for face in found if face.readings]


def _readings(frame: pd.DataFrame, line: dict[str, str]) -> tuple[Reading, ...]:
    """What each victim reads in the image of a line, without a defense."""
    kept = (frame["defense"] == "none") & (frame["seed"].astype(str) == line["seed"])
    for name in (*ROW, "image"):
        kept &= frame[name] == line[name]
    own = frame[kept]
    own = own.assign(**{name: np.nan for name in PROBABILITIES if name not in own})
    return tuple(
        Reading(
            str(row["victim"]), EMOTIONS[int(row["clean"])], EMOTIONS[int(row["prediction"])],
            float(row["clean_probability"]), float(row["prediction_probability"]),
        )
        for row in own.to_dict("records")
    )  # fmt: skip
