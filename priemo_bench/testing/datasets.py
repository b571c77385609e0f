"""Rules for data sets: each takes a `DatasetCase` and raises `Broken` where it does not conform."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from priemo_bench import registry
from priemo_bench.contracts.dataset import SPLITS, FaceSet
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.errors import PriemoError
from priemo_bench.testing.rules import Rule, Verdict, check, raise_broken, rule, verdicts
from priemo_bench.testing.surroundings import stirred, watched

SIZE = 40
"""Side of images in pixels that a data set is asked for."""


@dataclass(frozen=True)
class DatasetCase:
    """A data set to check.

    Attributes:
        make: called as `make(data, size)`. data: the user's copy; size: side of the images.
    """

    make: Callable[[Path | None, int | None], Any]
    data: Path | None = None
    size: int | None = None

    @cached_property
    def splits(self) -> dict[str, FaceSet]:
        """Fit and test, and of the other splits those that it offers."""
        dataset = self.make(self.data, self.size)
        found = {name: dataset.split(name) for name in ("fit", "test")}
        for name in SPLITS:
            if name not in found:
                try:
                    found[name] = dataset.split(name)
                except PriemoError:  # it does not have it
                    continue
        return found


@rule("return a priemo_bench.contracts.dataset.FaceSet of the split that is asked for")
def gives_face_sets(case: DatasetCase) -> None:
    """`split("fit")` and `split("test")` are a `FaceSet` each, under the data set's name."""
    own = getattr(case.make(case.data, case.size), "name", None)
    check(isinstance(own, str) and own, "the data set has no name")
    for name, faces in case.splits.items():
        given = type(faces).__name__
        check(isinstance(faces, FaceSet), f"split({name!r}) is a {given}, not a FaceSet")
        check(faces.split == name, f"split({name!r}) says that it is {faces.split!r}")
        check(faces.name == own, f"split({name!r}) is of {faces.name!r}, the data set {own!r}")


@rule("give uint8 images (n, 1 or 3, h, w), and a label, an id and a person for each")
def keeps_the_contract_of_face_sets(case: DatasetCase) -> None:
    """Labels are indices into EMOTIONS, ids unique, and there is one of each for every image."""
    for name, faces in case.splits.items():
        labels, ids = np.asarray(faces.labels), np.asarray(faces.ids)
        counts = {len(faces.images), len(labels), len(ids), len(faces.persons)}
        check(len(counts) == 1, f"{name} has images, labels, ids and persons of other lengths")
        images = np.asarray(faces.images)
        check(
            images.dtype == np.uint8 and images.ndim == 4 and images.shape[1] in (1, 3),
            f"the images of {name} are {images.dtype} of shape {images.shape}",
        )
        check(
            labels.dtype.kind in "iu" and bool(np.isin(labels, range(len(EMOTIONS))).all()),
            f"{name} has labels outside 0 to {len(EMOTIONS) - 1}",
        )
        check(len(np.unique(ids)) == len(ids), f"{name} has ids that are not unique")


@rule("put each person, and without persons each picture and its copies, into one split")
def splits_are_disjoint(case: DatasetCase) -> None:
    """No id, no person and no picture is in two splits."""
    names = list(case.splits)
    for k, one in enumerate(names):
        for other in names[k + 1 :]:
            for what, keys in KEYS.items():
                both = keys(case.splits[one]) & keys(case.splits[other])
                check(not both, f"{one} and {other} have {len(both)} {what} in common")


@rule("sort files by name, and draw from np.random.default_rng of a fixed seed")
def is_reproducible(case: DatasetCase) -> None:
    """Made again, it has the same faces in the same order, whatever the global generators."""
    with stirred(1):
        again = case.make(case.data, case.size)
        for name, faces in case.splits.items():
            same = again.split(name).fingerprint == faces.fingerprint
            check(same, f"{name} has other faces, or another order, when it is made again")


@rule("resize the images to (size, size), or raise PriemoError where that cannot be done")
def gives_the_size_that_is_asked_for(case: DatasetCase) -> None:
    """With `size`, images are that many pixels high and wide; or it is refused by PriemoError."""
    try:
        shape = case.make(case.data, SIZE).split("test").images.shape[2:]
    except PriemoError:
        return
    check(shape == (SIZE, SIZE), f"with size={SIZE} images are {shape[1]}x{shape[0]}")


@rule("raise PriemoError, with those that there are in its sentence")
def refuses_an_unknown_split(case: DatasetCase) -> None:
    """PriemoError for a split that does not exist."""
    try:
        case.make(case.data, case.size).split("no-such-split")
    except PriemoError:
        return
    check(False, "split('no-such-split') must raise PriemoError")


@rule("seed generators of its own, and put back what it sets")
def leaves_global_state_alone(case: DatasetCase) -> None:
    """Random generators, torch's grad mode and dtype, numpy's settings, and the folder stay."""
    with watched() as changed:
        case.make(case.data, case.size).split("test")
    check(not changed, f"it changes {' and '.join(changed)}")


def _ids(faces: FaceSet) -> set[str]:
    return set(map(str, faces.ids))


def _persons(faces: FaceSet) -> set[str]:
    return set(map(str, faces.persons))


def _pictures(faces: FaceSet) -> set[bytes]:
    return {sha256(np.ascontiguousarray(image).data).digest() for image in faces.images}


KEYS: dict[str, Callable[[FaceSet], set[Any]]] = {
    "ids": _ids, "persons": _persons, "pictures": _pictures,
}  # fmt: skip
"""What no two splits may have in common."""
DATASET_RULES: tuple[Rule[DatasetCase], ...] = (
    gives_face_sets,
    keeps_the_contract_of_face_sets,
    splits_are_disjoint,
    is_reproducible,
    gives_the_size_that_is_asked_for,
    refuses_an_unknown_split,
    leaves_global_state_alone,
)


def dataset_verdicts(
    thing: Any, data: Path | str | None = None, size: int | None = None
) -> Iterator[Verdict]:
    """What comes of each of DATASET_RULES; arguments as for `check_dataset`."""
    make = registry.get("datasets", thing) if isinstance(thing, str) else thing
    if not callable(make):
        raise PriemoError(
            f"the data set is a {type(make).__name__}; give a class or function that is called "
            "with the user's copy and the size of the images"
        )
    return verdicts(
        DATASET_RULES, [("", DatasetCase(make, None if data is None else Path(data), size))]
    )


def check_dataset(thing: Any, data: Path | str | None = None, size: int | None = None) -> None:
    """Check a data set against DATASET_RULES.

    Args:
        thing: a name, "module:thing" or "file.py:thing"; or a class or function that is called as
            `thing(data, size)`.
        data: the user's copy of it. size: side of the images in pixels.

    Raises:
        Broken: a rule does not hold; a line for each that does not, with how to mend it.
        PriemoError: it cannot be imported, or is not callable.

    Example:
        >>> check_dataset("rendered")
    """
    raise_broken(dataset_verdicts(thing, data, size))
