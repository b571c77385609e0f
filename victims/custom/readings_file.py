"""The readings of a black box that was asked elsewhere, as `priemo-bench readings` keeps them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from priemo_bench.contracts.emotions import emotion_of
from priemo_bench.contracts.image import ByteImages
from priemo_bench.contracts.readings import digest_of
from priemo_bench.errors import PriemoError

COLUMNS = ("pixels", "label")


class Readings:
    """A function that looks up what was read in an image.

    Args:
        path: csv with a line for each image: `pixels`, the digest of its pixels, and `label`, an
            emotion; further columns are not used.

    Raises:
        PriemoError: it is no such file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.labels: dict[str, str] = {}
        try:
            with path.open(newline="", encoding="utf-8") as file:
                table = csv.DictReader(file)
                if missing := [name for name in COLUMNS if name not in (table.fieldnames or ())]:
                    raise PriemoError(f"{path} has no column {missing[0]!r}")
                for row in table:
                    self._add(row, table.line_num)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise PriemoError(f"{path} cannot be read: {error}") from None

    def _add(self, row: dict[str, str | None], line: int) -> None:
        emotion = emotion_of(row["label"] or "")
        if emotion is None or not row["pixels"]:
            raise PriemoError(f"{self.path}, line {line}: {row['label']!r} is no emotion")
        self.labels[row["pixels"]] = emotion

    def __call__(self, images: ByteImages) -> list[Any]:
        """(n, c, h, w) uint8 to n emotions; PriemoError for an image that was not read."""
        digests = [digest_of(image) for image in images]
        if missing := [digest for digest in digests if digest not in self.labels]:
            raise PriemoError(
                f"{self.path} has no reading of {len(missing)} of {len(images)} images; export the "
                "run again, and give the answers to all of them"
            )
        return [self.labels[digest] for digest in digests]
