"""The `rendered` data set as a file: persons of each split, and a parquet row for every picture."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
from rich.progress import Progress

from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.storage import write_file
from priemo_bench.data.rendering.identity import Identity, sample_identity
from priemo_bench.data.rendering.scene import Studio
from priemo_bench.data.rendering.view import View, sample_view
from priemo_bench.errors import PriemoError

SEED = 20
PERSONS_AND_TAKES = {"train": (120, 2), "choice": (20, 1), "fit": (30, 1), "test": (30, 1)}
"""Persons of each split, and pictures of each person with each emotion."""


Row = dict[str, object]


@dataclass(frozen=True)
class Shot:
    """One picture to take: `take` counts the pictures of the same person with the same emotion."""

    split: str
    number: int
    emotion: str
    take: int


def plan() -> list[Shot]:
    """Every picture in the order of the file: by split, then person, then take, then emotion."""
    shots, first = [], 0
    for split, (persons, takes) in PERSONS_AND_TAKES.items():
        for number in range(first, first + persons):
            shots += [
                Shot(split, number, emotion, take) for take in range(takes) for emotion in EMOTIONS
            ]
        first += persons
    return shots


def stage(shot: Shot, seed: int = SEED) -> tuple[Identity, View]:
    """The person in a picture, and pose, light and background."""
    # The 3 keeps these streams apart from a person's own: numpy drops trailing zeros of a seed.
    key = [seed, shot.number, 3, EMOTIONS.index(shot.emotion), shot.take]
    rng = np.random.default_rng(key)
    return sample_identity(shot.number, seed), sample_view(shot.emotion, rng)


def render(out: Path, seed: int = SEED, limit: int | None = None, progress: bool = True) -> None:
    """Render the data set, or its first `limit` pictures, into the parquet file `out`.

    An existing file is replaced only once the new one is complete.

    Raises:
        PriemoError: the folder of `out` does not exist, or the extra `render` is not installed.
    """
    if not out.parent.is_dir():
        raise PriemoError(f"cannot write {out}: the folder {out.parent} does not exist")
    if out.is_dir():
        raise PriemoError(f"cannot write {out}: it is a folder")
    shots = plan()[:limit]
    bar = Progress(disable=not progress)
    with bar:
        rows = list(bar.track(_rows(shots, seed), len(shots), description="rendering faces"))
    table = pa.Table.from_pylist(rows)
    # pictures are compressed already: a second compression would only slow reading
    compression = {name: "none" if name == "image" else "zstd" for name in table.column_names}
    write_file(out, lambda file: pq.write_table(table, file, compression=compression))


def encode(picture: NDArray[np.uint8]) -> bytes:
    """Lossless WebP of a picture (h, w, 3)."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", lossless=True, quality=100, method=4)
    return buffer.getvalue()


def _rows(shots: list[Shot], seed: int) -> Iterator[Row]:
    studio = Studio()
    try:
        for shot in shots:
            identity, view = stage(shot, seed)
            yield {"image": encode(studio.render(identity, view))} | describe(shot, identity, view)
    finally:
        studio.close()


def describe(shot: Shot, identity: Identity, view: View) -> Row:
    """The columns of a picture besides its pixels: angles in degrees, colours as #rrggbb."""
    first, second = view.background
    return {
        "emotion": shot.emotion,
        "person": identity.name,
        "split": shot.split,
        "take": shot.take,
        "ethnicity": identity.ethnicity,
        "other_ethnicity": identity.other_ethnicity,
        "mix": round(identity.mix, 4),
        "sex": identity.sex,
        "age": round(identity.age, 4),
        "skin": _hex(identity.skin),
        "hair": _hex(identity.hair),
        "hair_style": identity.hair_style,
        "beard": identity.beard,
        "iris": _hex(identity.iris),
        "strength": round(view.strength, 4),
        "yaw": round(view.yaw, 3),
        "pitch": round(view.pitch, 3),
        "roll": round(view.roll, 3),
        "gaze_yaw": round(view.gaze_yaw, 3),
        "gaze_pitch": round(view.gaze_pitch, 3),
        "light_x": round(view.light[0], 4),
        "light_y": round(view.light[1], 4),
        "ambient": round(view.ambient, 4),
        "warmth": round(view.warmth, 4),
        "zoom": round(view.zoom, 4),
        "softness": round(view.softness, 4),
        "background": _hex(first),
        "background_to": _hex(second),
        "render_seed": identity.seed,
    }


def _hex(color: tuple[int, int, int]) -> str:
    return "#" + "".join(f"{value:02x}" for value in color)
