"""The csv of the FER2013 challenge: columns emotion, pixels and Usage, one face per row."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from priemo_bench.contracts.image import EMOTIONS, ByteImages, Labels
from priemo_bench.data.reading import told
from priemo_bench.errors import PriemoError

SIDE = 48
COLUMNS = ("emotion", "pixels", "usage")


def read_csv(path: Path) -> tuple[ByteImages, Labels, npt.NDArray[np.str_]]:
    """Images (n, 1, 48, 48), labels (n,) and Usage values (n,) of the csv, in its row order.

    The columns may stand in any order, with spaces around their names and values.

    Raises:
        PriemoError: not such a csv; the sentence names the missing column, or the line (the header
            is line 1) whose pixels or emotion are wrong.
    """
    table = _table(path)
    labels = _labels(path, table["emotion"])
    with ThreadPoolExecutor() as pool:
        chunks = pool.map(partial(_pixels, path), *_chunks(table["pixels"]))
    images = np.concatenate(list(chunks))
    usage = pc.utf8_trim_whitespace(table["usage"]).to_numpy(zero_copy_only=False).astype(str)
    return images, labels, usage


def _table(path: Path) -> pa.Table:
    with told(path, "is not a readable csv"):
        with csv.open_csv(path) as reader:
            names = reader.schema.names
        text = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
        table = csv.read_csv(path, convert_options=text)
    table = table.rename_columns([name.strip().casefold() for name in names])
    for column in COLUMNS:
        if column not in table.column_names:
            raise PriemoError(
                f"{path} has no column {column!r}; the FER2013 csv has emotion, pixels and Usage, "
                f"and this one has {', '.join(table.column_names)}"
            )
    if len(table) == 0:
        raise PriemoError(f"{path} has a header and no rows")
    return table


def _labels(path: Path, column: pa.ChunkedArray) -> Labels:
    trimmed = pc.utf8_trim_whitespace(column).combine_chunks()
    valid = pc.is_in(trimmed, value_set=pa.array([str(k) for k in range(len(EMOTIONS))]))
    wrong = np.flatnonzero(~valid.to_numpy(zero_copy_only=False))
    if len(wrong):
        raise PriemoError(
            f"{path}, line {wrong[0] + 2}: emotion {trimmed[wrong[0]].as_py()!r} is not one of "
            f"0 to {len(EMOTIONS) - 1}"
        )
    labels: Labels = trimmed.cast(pa.int64()).to_numpy()
    return labels


def _chunks(column: pa.ChunkedArray) -> tuple[list[pa.Array], list[int]]:
    """Chunks of the column, and the number of rows before each."""
    starts = np.cumsum([0, *map(len, column.chunks)])
    return column.chunks, starts[:-1].tolist()


def _pixels(path: Path, column: pa.Array, start: int) -> ByteImages:
    """One chunk of the pixels column as (n, 1, 48, 48) uint8."""
    values = pc.ascii_split_whitespace(pc.utf8_trim_whitespace(column))
    lengths = pc.list_value_length(values).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(lengths != SIDE * SIDE)
    if len(wrong):
        n = len((column[wrong[0]].as_py() or "").split())
        raise PriemoError(
            f"{path}, line {start + wrong[0] + 2}: {n} pixels, but a face has {SIDE}x{SIDE} = "
            f"{SIDE * SIDE}"
        )
    try:
        pixels = values.flatten().cast(pa.uint8())
    except pa.ArrowInvalid as error:
        line = start + _first_bad(values) + 2
        raise PriemoError(f"{path}, line {line}: pixels must be whole numbers 0 to 255") from error
    images: ByteImages = pixels.to_numpy().reshape(-1, 1, SIDE, SIDE)
    return images


def _first_bad(values: pa.ListArray) -> int:
    """Index of the first row with a value that is not a whole number from 0 to 255."""
    for i, row in enumerate(values):
        try:
            row.values.cast(pa.uint8())
        except pa.ArrowInvalid:
            return i
    return 0
