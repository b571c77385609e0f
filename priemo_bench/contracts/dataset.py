"""A labelled set of faces, and the protocol of a data set: four splits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from priemo_bench import registry
from priemo_bench.contracts.image import EMOTIONS, ByteImages, Labels, check_bytes
from priemo_bench.errors import PriemoError

Split = Literal["train", "choice", "fit", "test"]
SPLITS: tuple[Split, ...] = ("train", "choice", "fit", "test")
"""Victim training, epoch choice, attack fitting, and the held-out images all numbers come from."""

Strings = npt.NDArray[np.str_]
Selection = npt.NDArray[np.integer] | npt.NDArray[np.bool_]
"""Integer positions, or a boolean mask."""


@dataclass(frozen=True)
class FaceSet:
    """Labelled faces of one split.

    Attributes:
        name: data set name, e.g. "rendered".
        split: which part this is.
        images: (n, 1 or 3, h, w) uint8.
        labels: (n,) int64 indices into EMOTIONS.
        ids: (n,) unique strings, stable between runs and selections.
        persons: (n,) strings; equal to `ids` where persons are not known.
        notes: sentences a report must print (copies left out, missing persons ...).
        columns: further per-image columns (identity and rendering parameters), index 0..n-1.

    Raises:
        PriemoError: no images, not uint8 NCHW, lengths that differ, labels outside EMOTIONS, or
            ids that are not unique.

    Example:
        >>> import numpy as np
        >>> images, labels = np.zeros((2, 1, 48, 48), np.uint8), np.array([3, 4])
        >>> ids = np.array(["a", "b"])
        >>> faces = FaceSet("mine", "test", images, labels, ids, persons=ids)
        >>> faces
        FaceSet('mine', 'test', n=2, shape=(1, 48, 48))
        >>> faces.take(faces.labels == 3).ids.tolist()
        ['a']
    """

    name: str
    split: Split
    images: ByteImages
    labels: Labels
    ids: Strings
    persons: Strings
    notes: tuple[str, ...] = ()
    columns: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __post_init__(self) -> None:
        if len(self.images) == 0:
            raise PriemoError(f"the {self.split} split of data set {self.name!r} is empty")
        check_bytes(self.images, f"{self.name}/{self.split} images")
        for field_name in ("labels", "ids", "persons"):
            if (n := len(getattr(self, field_name))) != len(self.images):
                raise PriemoError(
                    f"{self.name}/{self.split} has {len(self.images)} images but {n} {field_name}"
                )
        if not np.isin(self.labels, np.arange(len(EMOTIONS))).all():
            raise PriemoError(f"{self.name}/{self.split} has labels outside 0..{len(EMOTIONS) - 1}")
        if len(np.unique(self.ids)) < len(self.ids):
            raise PriemoError(f"{self.name}/{self.split} has ids that are not unique")

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        shape = self.images.shape[1:]
        return f"FaceSet({self.name!r}, {self.split!r}, n={len(self)}, shape={shape})"

    @property
    def counts(self) -> dict[str, int]:
        """Images per emotion."""
        return {name: int((self.labels == k).sum()) for k, name in enumerate(EMOTIONS)}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over pixels, labels and ids: what a stored result depends on."""
        digest = sha256(repr((self.images.shape, self.ids.tolist())).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()

    def take(self, rows: Selection) -> FaceSet:
        """The images at `rows` (integer positions or a boolean mask), in that order."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        columns = (
            self.columns.iloc[rows].reset_index(drop=True) if len(self.columns) else self.columns
        )
        return replace(
            self,
            images=self.images[rows],
            labels=self.labels[rows],
            ids=self.ids[rows],
            persons=self.persons[rows],
            columns=columns,
        )


class Dataset(Protocol):
    """What an entry point of group `priemo_bench.datasets` returns when called.

    The factory is called as `factory(data, size)`: `data` is the path given with `--data` (None
    when there is none), `size` the side in pixels of `--size` (None for the native size).
    """

    name: str

    def split(self, split: Split) -> FaceSet:
        """One split; PriemoError when it is empty or the data set does not have it."""
        ...


def load_dataset(
    name: str = "rendered", data: Path | str | None = None, size: int | None = None
) -> Dataset:
    """A data set, whose `split("train" | "choice" | "fit" | "test")` is a `FaceSet`.

    Args:
        name: of an entry point.
        data: your copy of it, where it is not embedded.
        size: side of the images in pixels; None is their own.

    Raises:
        PriemoError: no such name, or a copy that is missing or of another kind.

    Example:
        >>> from priemo_bench import load_dataset
        >>> load_dataset("rendered").split("test").images.shape[1:]
        (3, 112, 112)
    """
    dataset: Dataset = registry.get("datasets", name)(None if data is None else Path(data), size)
    return dataset
