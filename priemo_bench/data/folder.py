"""Any directory with one sub-folder of pictures per emotion (RAF-DB, AffectNet exports ...).

Either ROOT/happy/a.jpg ..., split here into fit and test, or ROOT/train/happy/a.jpg and
ROOT/test/happy/b.jpg, where train is the fit split. ROOT/persons.csv (columns file, person) may say
who is in a picture; `file` is the path below ROOT.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from priemo_bench.contracts.dataset import FaceSet, Split, Strings
from priemo_bench.contracts.image import EMOTIONS, Labels
from priemo_bench.data.near_copies import LIMIT, first_of_each, groups, highest_correlation
from priemo_bench.data.pictures import SMALLEST, check_size, emotion_folders, read_pictures
from priemo_bench.data.reading import told
from priemo_bench.errors import PriemoError

FIT_SHARE = 0.4
SEED = 2013

Mask = npt.NDArray[np.bool_]


@dataclass
class Folder:
    """The pictures under `data`, resized to `size` x `size` (needed when their sizes differ).

    Offers the splits fit and test, disjoint by person where persons are known. Test pictures with
    a near copy in fit are left out, and where persons are not known, repetitions within test.
    Grey only if every picture is.
    """

    data: Path | None = None
    size: int | None = None
    name: str = field(default="folder", init=False)

    def split(self, split: Split) -> FaceSet:
        """The split "fit" or "test"; the others, for training victims, are not offered.

        Raises:
            PriemoError: another split, a folder that is no emotion, an emotion without pictures,
                an unreadable picture, mixed sizes without `size`, or a wrong persons.csv.
        """
        if split not in ("fit", "test"):
            raise PriemoError(
                f"data set 'folder' has no split {split!r}; it offers fit and test, and its "
                "pictures train no victims"
            )
        faces, fit = self._read
        test = ~fit
        notes = list(faces.notes)
        if split == "test":
            test, left_out = _apart(faces, fit)
            notes += left_out
        chosen = replace(faces.take(fit if split == "fit" else test), split=split)
        if missing := [name for name, n in chosen.counts.items() if n == 0]:
            notes.append(f"the {split} split has no picture of {', '.join(missing)}")
        return replace(chosen, notes=tuple(notes))

    @cached_property
    def _read(self) -> tuple[FaceSet, Mask]:
        """All faces, and which of them belong to the fit split."""
        check_size(self.size)
        root = _root(self.data)
        parts = [root / name for name in ("train", "test") if (root / name).is_dir()]
        if len(parts) == 1:
            raise PriemoError(f"{root} has {parts[0].name} only; it needs both train and test")
        faces = _faces(root, parts or [root], self.size)
        if parts:
            fit = np.array([name.startswith("train/") for name in faces.ids])
            return replace(faces, notes=(*faces.notes, *_beside(root, parts))), fit
        known = (faces.persons != faces.ids).any()
        units = faces.persons if known else groups(faces.images)
        fit = _split_units(faces.labels, units)
        if fit.all() or not fit.any():
            n, what = len(np.unique(units)), "person" if known else "different picture"
            raise PriemoError(
                f"{root} has {len(faces)} pictures of {n} {what}{'s' * (n > 1)}: too few for both "
                "a fit and a test split; add some, or give folders train and test"
            )
        return faces, fit


def _root(data: Path | None) -> Path:
    if data is None:
        raise PriemoError("folder is read from your own pictures; give their directory with --data")
    if not os.path.isdir(data):
        raise PriemoError(f"{data} is not a directory; it needs a sub-folder for each emotion")
    return Path(data)


def _beside(root: Path, parts: list[Path]) -> list[str]:
    """A note on folders beside `parts`, such as validation."""
    others = [p.name for p in root.iterdir() if p.is_dir() and p not in parts and p.name[0] != "."]
    return [f"the folders {', '.join(sorted(others))} were left out"] if others else []


def _faces(root: Path, parts: list[Path], size: int | None) -> FaceSet:
    found = [emotion_folders(part) for part in parts]
    paths = [path for files, _ in found for name in EMOTIONS for path in files[name]]
    labels = [k for files, _ in found for k, name in enumerate(EMOTIONS) for _ in files[name]]
    images, changes = read_pictures(paths, size)
    if min(images.shape[2:]) < SMALLEST:
        raise PriemoError(
            f"the pictures of {root} are {images.shape[3]}x{images.shape[2]}; a side must have "
            f"{SMALLEST} pixels or more (give a --size)"
        )
    ids = np.array([path.relative_to(root).as_posix() for path in paths])
    persons, notes = _persons(root / "persons.csv", ids)
    return FaceSet(
        name="folder",
        split="test",
        images=images,
        labels=np.array(labels, np.int64),
        ids=ids,
        persons=persons,
        notes=(*notes, *changes, *(note for _, others in found for note in others)),
    )


def _persons(path: Path, ids: Strings) -> tuple[Strings, list[str]]:
    """Person of every picture: its own id where `path` is missing or does not name it."""
    if not path.is_file():
        return ids, []
    with told(path, "is not a readable csv"):
        table = pd.read_csv(path, dtype=str, skipinitialspace=True)
    if not {"file", "person"} <= set(table.columns):
        raise PriemoError(f"{path} has columns {', '.join(table.columns)}; it needs file, person")
    table["file"] = table["file"].str.replace("\\", "/").str.removeprefix("./")
    if (again := table["file"].duplicated()).any():
        raise PriemoError(f"{path} names {table['file'][again].iloc[0]} twice")
    persons = table.dropna().set_index("file")["person"].reindex(ids)
    unknown = int(persons.isna().sum())
    if unknown == len(ids):
        raise PriemoError(f"{path} names none of the pictures; file is the path, such as {ids[0]}")
    note = f"{unknown} pictures are not in persons.csv and count as a person each"
    return persons.fillna(pd.Series(ids, index=ids)).to_numpy(str), [note] if unknown else []


def _split_units(labels: Labels, units: npt.NDArray[np.generic]) -> Mask:
    """(n,) mask of the fit split: about FIT_SHARE of each emotion, no unit on both sides."""
    _, unit = np.unique(units, return_inverse=True)
    counts = np.zeros((unit.max() + 1, len(EMOTIONS)))
    np.add.at(counts, (unit, labels), 1)
    seen, taken = np.zeros(len(EMOTIONS)), np.zeros(len(EMOTIONS))
    fit = np.zeros(len(counts), bool)
    for u in np.random.default_rng(SEED).permutation(len(counts)):
        seen += counts[u]
        fit[u] = counts[u] @ (FIT_SHARE * seen - taken) > 0
        taken += counts[u] * fit[u]
    return fit[unit]


def _apart(faces: FaceSet, fit: Mask) -> tuple[Mask, list[str]]:
    """Test pictures whose person is not in fit and that have no near copy there, with notes."""
    test = np.flatnonzero(~fit)
    images, persons = faces.images[test], faces.persons[test]
    reasons = {
        "show a person of the fit split": np.isin(persons, faces.persons[fit]),
        "have a near copy in the fit split": highest_correlation(images, faces.images[fit]) > LIMIT,
    }
    if (faces.persons == faces.ids).all():  # elsewhere intervals count persons, not pictures
        reasons["repeat another"] = ~first_of_each(images)
    keep, notes = ~fit, []
    for reason, wrong in reasons.items():
        wrong &= keep[test]
        keep[test[wrong]] = False
        if wrong.any():
            notes.append(f"{int(wrong.sum())} test pictures {reason}: left out")
    if not keep.any():
        raise PriemoError(f"no picture is left to test on: {'; '.join(notes)}")
    return keep, notes
