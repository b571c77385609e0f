"""FER2013 from the user's own copy: the challenge's csv, or the folder form (train/, test/).

Training is cut by the committed row list into victim training, epoch choice and attack fit; test is
PublicTest without the faces that have a near copy in Training. Faces are named by their pixels and
kept in the order of these names, so that both forms give the same sets.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from priemo_bench.datasets import SPLITS, FaceSet, Split
from priemo_bench.datasets.fer2013_csv import SIDE, read_csv
from priemo_bench.datasets.near_copies import LIMIT, nearest
from priemo_bench.datasets.pictures import emotion_folders, read_picture, resize, stack
from priemo_bench.datasets.row_list import PARTS, Parts, RowList
from priemo_bench.errors import PriemoError
from priemo_bench.images import EMOTIONS, Bytes, Labels

USAGES = ("Training", "PublicTest", "PrivateTest")


@dataclass
class Fer2013:
    """The data set at `data`: a csv, a folder with fer2013.csv, or a folder with train/ and test/.

    Read on first use. `size` is the side in pixels (48 when None).
    """

    data: Path | None = None
    size: int | None = None
    rows: RowList | None = field(default=None, repr=False)
    name: str = field(default="fer2013", init=False)

    def split(self, split: Split) -> FaceSet:
        """One of the four splits, as grey images (n, 1, size, size).

        Raises:
            PriemoError: the copy is missing, damaged, or has nothing for this split.
        """
        if split not in SPLITS:
            raise PriemoError(f"no split is called {split!r}; known: {', '.join(SPLITS)}")
        faces = self._test if split == "test" else self._training_part(split)
        return replace(faces, images=resize(faces.images, self.size))

    @cached_property
    def _usages(self) -> dict[str, FaceSet]:
        return _read(self.data)

    def _usage(self, usage: str) -> FaceSet:
        if usage not in self._usages:
            raise PriemoError(
                f"{self.data} has no {usage} faces; use a complete copy of FER2013 (the csv with "
                "Usage Training and PublicTest, or folders train and test)"
            )
        return self._usages[usage]

    @property
    def training(self) -> FaceSet:
        """All of Training, before the cut."""
        return self._usage("Training")

    @cached_property
    def _parts(self) -> Parts:
        return (self.rows or RowList.load()).find(self.training.images)

    def _training_part(self, split: Split) -> FaceSet:
        part = np.maximum(self._parts, 0)  # a face that the list does not know trains victims
        unknown = int((self._parts < 0).sum())
        notes = [f"{unknown} Training faces are not in the committed row list and went to train"]
        chosen = np.flatnonzero(part == PARTS.index(split))
        if len(chosen) == 0:
            raise PriemoError(
                f"no Training face of {self.data} is in the {split} part of the committed row "
                "list; is this FER2013?"
            )
        return replace(
            self.training.take(chosen), split=split, notes=tuple(notes) if unknown else ()
        )

    @cached_property
    def _test(self) -> FaceSet:
        public = self._usage("PublicTest")
        copies = nearest(public.images, self.training.images) > LIMIT
        notes = [
            f"{int(copies.sum())} of {len(public)} PublicTest faces have a near copy in Training "
            "and were left out"
        ]
        if "PrivateTest" in self._usages:
            notes.append(f"{len(self._usages['PrivateTest'])} PrivateTest faces were not used")
        return replace(public.take(~copies), split="test", notes=tuple(notes))


def _read(data: Path | None) -> dict[str, FaceSet]:
    if data is None:
        raise PriemoError(
            "fer2013 is read from your own copy; give its csv or its folder with --data"
        )
    data = Path(data)
    if not data.exists():
        raise PriemoError(f"{data} does not exist; fer2013 needs the csv or the folder of FER2013")
    if data.is_file():
        return _from_csv(data)
    if (data / "fer2013.csv").is_file():
        return _from_csv(data / "fer2013.csv")
    if (data / "train").is_dir():
        return _from_folders(data)
    raise PriemoError(f"{data} holds neither fer2013.csv nor a folder train; is this FER2013?")


def _from_csv(path: Path) -> dict[str, FaceSet]:
    images, labels, usage = read_csv(path)
    wrong = np.flatnonzero(~np.isin(usage, USAGES))
    if len(wrong):
        raise PriemoError(
            f"{path}, row {wrong[0] + 1}: Usage {str(usage[wrong[0]])!r} is not one of "
            f"{', '.join(USAGES)}"
        )
    source = np.array([f"row {i + 1}" for i in range(len(usage))])
    return {
        name: _faces(images[usage == name], labels[usage == name], source[usage == name], path)
        for name in USAGES
        if name in usage
    }


def _from_folders(root: Path) -> dict[str, FaceSet]:
    usages = {"train": "Training", "test": "PublicTest"}
    return {
        usage: _from_folder(root, root / name)
        for name, usage in usages.items()
        if (root / name).is_dir()
    }


def _from_folder(root: Path, folder: Path) -> FaceSet:
    files = emotion_folders(folder)
    paths = [path for name in EMOTIONS for path in files[name]]
    pictures = [read_picture(path)[0].convert("L") for path in paths]
    labels = np.repeat(np.arange(len(EMOTIONS)), [len(files[name]) for name in EMOTIONS])
    source = np.array([path.relative_to(root).as_posix() for path in paths])
    return _faces(stack(pictures, SIDE, folder), labels, source, root)


def _faces(images: Bytes, labels: Labels, source: npt.NDArray[np.str_], path: Path) -> FaceSet:
    """Faces named and sorted by the digest of pixels and label; `source` becomes a column."""
    for k, name in enumerate(EMOTIONS):
        if not (labels == k).any():
            raise PriemoError(f"{path} has a split without a face of {name}; use a complete copy")
    ids = [
        sha256(image.tobytes() + bytes([label])).hexdigest()[:12]
        for image, label in zip(images, labels, strict=True)
    ]
    order = np.argsort(ids, kind="stable")
    named = pd.Series(ids, dtype=object)[order]
    repeat = named.groupby(named).cumcount()
    unique = np.where(repeat > 0, named + "-" + (repeat + 1).astype(str), named).astype(str)
    return FaceSet(
        name="fer2013",
        split="train",
        images=images[order],
        labels=labels[order].astype(np.int64),
        ids=unique,
        persons=unique,
        columns=pd.DataFrame({"source": source[order]}),
    )
