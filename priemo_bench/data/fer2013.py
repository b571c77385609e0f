"""FER2013 from the user's own copy: the challenge's csv, or the folder form (train/, test/).

Training is split by the committed row list into victim training, epoch choice and attack fit; test
is PublicTest without near copies of Training or of each other; PrivateTest is not used. The id of a
face is a hash of its pixels and label, and faces are sorted by id, so that both forms give the same
sets; the column `source` says where a face is in the user's copy.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from priemo_bench.contracts.dataset import SPLITS, FaceSet, Split, Strings
from priemo_bench.contracts.image import EMOTIONS, ByteImages, Labels
from priemo_bench.data.fer2013_csv import SIDE, read_csv
from priemo_bench.data.fer2013_split import PARTS, Parts, RowList
from priemo_bench.data.near_copies import LIMIT, first_of_each, highest_correlation
from priemo_bench.data.pictures import check_size, emotion_folders, grey, read_pictures, resize
from priemo_bench.errors import PriemoError
from priemo_bench.registry import unknown

USAGES = ("Training", "PublicTest", "PrivateTest")
FOLDERS = {"train": "Training", "test": "PublicTest"}


@dataclass
class Fer2013:
    """The data set at `data`: a csv, a folder with fer2013.csv, or a folder with train/ and test/.

    Read on first use. `size` is the side in pixels (48 when None).
    """

    data: Path | None = None
    size: int | None = None
    rows: RowList | None = field(default=None, repr=False)
    name: str = field(default="fer2013", init=False)
    terms: ClassVar[str] = (
        "faces found by web search for a challenge of 2013, without an image licence: read from "
        "the user's own copy, never passed on"
    )

    def split(self, split: Split) -> FaceSet:
        """One of the four splits, as grey images (n, 1, size, size).

        Raises:
            PriemoError: the copy is missing, damaged, or has nothing for this split.
        """
        if split not in SPLITS:
            raise unknown("splits", split, SPLITS)
        check_size(self.size)
        faces = self._test if split == "test" else self._training_part(split)
        return replace(faces, images=resize(faces.images, self.size))

    @cached_property
    def _usages(self) -> dict[str, FaceSet]:
        return _read(self.data)

    def _usage(self, usage: str) -> FaceSet:
        faces = self._usages.get(usage)
        missing = [] if faces is None else [name for name, n in faces.counts.items() if n == 0]
        if faces is None or missing:
            raise PriemoError(
                f"{self.data} has no {usage} faces{' of ' if missing else ''}{', '.join(missing)}; "
                "use a complete copy of FER2013 (the csv with Usage Training and PublicTest, or "
                "folders train and test)"
            )
        return faces

    @property
    def training(self) -> FaceSet:
        """All of Training, before it is split."""
        return self._usage("Training")

    @property
    def public_test(self) -> FaceSet:
        """All of PublicTest with its copies of Training faces, as published accuracies count."""
        return replace(self._usage("PublicTest"), split="test")

    @cached_property
    def _parts(self) -> Parts:
        return (self.rows or RowList.load()).find(self.training.images)

    def _training_part(self, split: Split) -> FaceSet:
        part = np.maximum(self._parts, 0)  # faces missing from the list train victims
        unlisted = int((self._parts < 0).sum())
        notes = [f"{unlisted} Training faces are not in the committed row list and went to train"]
        chosen = np.flatnonzero(part == PARTS.index(split))
        if len(chosen) == 0:
            raise PriemoError(
                f"no Training face of {self.data} is in the {split} part of the committed row "
                "list; is this FER2013?"
            )
        return replace(
            self.training.take(chosen), split=split, notes=tuple(notes) if unlisted else ()
        )

    @cached_property
    def _test(self) -> FaceSet:
        public = self.public_test
        copies = highest_correlation(public.images, self.training.images) > LIMIT
        faces = public.take(~copies)
        distinct = first_of_each(faces.images)
        notes = [
            f"{int(copies.sum())} of {len(public)} PublicTest faces have a near copy in Training "
            "and were left out",
            f"{int((~distinct).sum())} PublicTest faces repeat another and were left out",
        ]
        if "PrivateTest" in self._usages:
            notes.append(f"{len(self._usages['PrivateTest'])} PrivateTest faces were not used")
        return replace(faces.take(distinct), notes=tuple(notes))


def _read(data: Path | None) -> dict[str, FaceSet]:
    if data is None:
        raise PriemoError(
            "fer2013 is read from your own copy; give its csv or its folder with --data"
        )
    data = Path(data)
    if not os.path.exists(data):
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
            f"{path}, line {wrong[0] + 2}: Usage {str(usage[wrong[0]])!r} is not one of "
            f"{', '.join(USAGES)}"
        )
    source = np.array([f"line {i + 2}" for i in range(len(usage))])
    return _by_usage(images, labels, usage, source)


def _from_folders(root: Path) -> dict[str, FaceSet]:
    """train/ is Training; test/ is PublicTest, but for files that a copy names PrivateTest_*."""
    folders = {u: root / n for n, u in FOLDERS.items() if (root / n).is_dir()}
    found = {usage: emotion_folders(folder)[0] for usage, folder in folders.items()}
    paths = [p for files in found.values() for name in EMOTIONS for p in files[name]]
    labels = [k for files in found.values() for k, n in enumerate(EMOTIONS) for _ in files[n]]
    usage = [u for u, files in found.items() for n in EMOTIONS for _ in files[n]]
    private = [path.name.startswith("PrivateTest") for path in paths]
    return _by_usage(
        grey(read_pictures(paths, SIDE)[0]),
        np.array(labels, np.int64),
        np.where(private, "PrivateTest", usage),
        np.array([path.relative_to(root).as_posix() for path in paths]),
    )


def _by_usage(
    images: ByteImages, labels: Labels, usage: Strings, source: Strings
) -> dict[str, FaceSet]:
    """One set per Usage; ids are digests of pixels and label, sorted."""
    ids = np.array(
        [
            sha256(image.tobytes() + bytes([label])).hexdigest()[:12]
            for image, label in zip(images, labels, strict=True)
        ]
    )
    sets = {}
    for name in USAGES:
        rows = np.flatnonzero(usage == name)
        if len(rows):
            rows = rows[np.argsort(ids[rows], kind="stable")]
            unique = _unique(ids[rows])
            columns = pd.DataFrame({"source": source[rows]})
            sets[name] = FaceSet(
                "fer2013", "train", images[rows], labels[rows], unique, unique, columns=columns
            )
    return sets


def _unique(ids: Strings) -> Strings:
    """Sorted `ids` with -2, -3 ... at repetitions: FER2013 has identical faces."""
    repeat = pd.Series(ids).groupby(ids).cumcount().to_numpy() + 1
    return np.array([f"{i}-{k}" if k > 1 else i for i, k in zip(ids, repeat, strict=True)])
