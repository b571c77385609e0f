"""The embedded data set: rendered faces of synthetic persons, from the package's parquet file.

One row per picture: `image` (an encoded picture), `emotion`, `person`, `split`, `take` and the
parameters of the rendering, which become `FaceSet.columns`.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from priemo_bench.contracts.dataset import SPLITS, FaceSet, Split
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.data.pictures import check_size, resize, stack
from priemo_bench.data.reading import told
from priemo_bench.errors import PriemoError
from priemo_bench.registry import unknown

REQUIRED = ("image", "emotion", "person", "split", "take")


@dataclass
class Rendered:
    """The embedded faces, or those of another parquet file `data` that the renderer wrote.

    `size` is the side in pixels; None leaves the pictures as they were rendered, 112 x 112.

    Example:
        >>> faces = Rendered().split("fit")
        >>> faces
        FaceSet('rendered', 'fit', n=210, shape=(3, 112, 112))
        >>> faces.counts["happy"], len(set(faces.persons))
        (30, 30)
    """

    data: Path | None = None
    size: int | None = None
    name: str = field(default="rendered", init=False)
    terms: ClassVar[str] = "CC0 1.0, comes with this package"

    def split(self, split: Split) -> FaceSet:
        """One of the four splits, RGB, disjoint by person; only its pictures are decoded.

        Raises:
            PriemoError: the file is missing, damaged or not written by the renderer.
        """
        if split not in SPLITS:
            raise unknown("splits", split, SPLITS)
        check_size(self.size)
        with _located(self.data) as path:
            table = _read(path, split)
            with ThreadPoolExecutor() as pool:
                decode = partial(_decode, path=path)
                pictures = list(pool.map(decode, table["image"].to_pylist()))
        columns = table.drop_columns(["image", "split"]).to_pandas()
        ids = columns["person"] + "-" + columns["emotion"] + "-" + columns["take"].astype(str)
        return FaceSet(
            name=self.name,
            split=split,
            images=resize(stack(pictures, ids), self.size),
            labels=columns["emotion"].map(EMOTIONS.index).to_numpy(np.int64),
            ids=ids.to_numpy(str),
            persons=columns["person"].to_numpy(str),
            columns=columns,
        )


@contextmanager
def _located(data: Path | None) -> Iterator[Path]:
    """Path of the file, which is unpacked first when the package is imported from an archive."""
    if data is not None:
        yield Path(data)
        return
    with as_file(files("priemo_bench.data") / "files" / "rendered.parquet") as path:
        yield path


def _read(path: Path, split: Split) -> pa.Table:
    if not os.path.isfile(path):
        raise PriemoError(f"{path} does not exist; rendered needs the parquet file of the renderer")
    with told(path, "is not a readable parquet file"):
        missing = [name for name in REQUIRED if name not in pq.read_schema(path).names]
        if missing:
            raise PriemoError(f"{path} has no column {missing[0]!r}; the renderer writes it")
        table = pq.read_table(path, filters=[("split", "=", split)])
    if len(table) == 0:
        raise PriemoError(f"{path} has no picture in the split {split}")
    if unknown_emotions := set(table["emotion"].to_pylist()) - set(EMOTIONS):
        raise PriemoError(
            f"{path} has the emotion {unknown_emotions.pop()!r}; known: {', '.join(EMOTIONS)}"
        )
    return table


def _decode(code: bytes, path: Path) -> Image.Image:
    with (
        told(path, "holds a picture that cannot be decoded"),
        Image.open(io.BytesIO(code)) as picture,
    ):
        return picture.convert("RGB")
