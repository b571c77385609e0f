"""Defenses, metrics and data sets that keep every rule, and for each one that breaks it."""

from __future__ import annotations

import dataclasses
import itertools
import os
from typing import Any

import numpy as np
import torch
from torch import Tensor

from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.image import check_bytes, publish, to_float
from priemo_bench.errors import PriemoError
from priemo_bench.testing import toy_faces

# Defenses


class Smooth:
    """A mean with the image's mirror: keeps every rule."""

    def __call__(self, x: Any) -> Any:
        return (to_float(x) + to_float(x)[..., ::-1]) / 2

    def smooth(self, x: Tensor) -> Tensor:
        return (x + x.flip(-1)) / 2


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A level that the seed decides: keeps every rule."""

    seed: int = 0

    def __call__(self, x: Any) -> Any:
        level = np.random.default_rng(self.seed).uniform(0.5, 1)
        return to_float(x) * np.float32(level)

    def draw(self, k: int) -> Drawn:
        return type(self)(k)


class Smaller(Smooth):
    def __call__(self, x: Any) -> Any:
        return to_float(x)[..., 1:]


class HalvesInPlace(Smooth):
    def __call__(self, x: Any) -> Any:
        x //= 2
        return to_float(x)


class Dithers(Smooth):
    def __call__(self, x: Any) -> Any:
        return np.clip(to_float(x) + np.random.default_rng().normal(0, 0.1, x.shape), 0, 1).astype(
            np.float32
        )


class Equalises(Smooth):
    def __call__(self, x: Any) -> Any:
        return to_float(x) / to_float(x).max()


class ThroughTorch(Smooth):
    def __call__(self, x: Any) -> Any:
        return (torch.from_numpy(x) / 255).numpy()


class TakesFloats(Smooth):
    def __call__(self, x: Any) -> Any:
        return np.clip(np.asarray(x, np.float32), 0, 255) / np.float32(255)


class ChangesFolder(Smooth):
    def __call__(self, x: Any) -> Any:
        os.chdir("/")
        return super().__call__(x)


class FlatStandIn(Smooth):
    def smooth(self, x: Tensor) -> Tensor:
        return (x * 255).round() / 255


class OneDraw(Drawn):
    def __call__(self, x: Any) -> Any:
        return to_float(x)


# Metrics


def brightness(x: Any, y: Any) -> Any:
    """How much darker an image has become: keeps every rule."""
    return (check_bytes(x, "x").astype(float) - check_bytes(y, "y")).mean((1, 2, 3))


def one_number(x: Any, y: Any) -> Any:
    return brightness(x, y).mean()


def words(x: Any, y: Any) -> Any:
    return np.array(["darker" if value > 0 else "brighter" for value in brightness(x, y)])


def subtracts_in_place(x: Any, y: Any) -> Any:
    values = brightness(x, y)
    y -= 1
    return values


def noisy(x: Any, y: Any) -> Any:
    return brightness(x, y) + np.random.random(len(x))  # noqa: NPY002


def standardised(x: Any, y: Any) -> Any:
    return brightness(x, y) - brightness(x, y).mean()


def through_torch(x: Any, y: Any) -> Any:
    return (torch.from_numpy(x).double() - torch.from_numpy(y)).mean((1, 2, 3)).numpy()


def seeds_numpy(x: Any, y: Any) -> Any:
    np.random.seed(0)  # noqa: NPY002
    return brightness(x, y)


# Data sets


class Toys:
    """Toy faces: keeps every rule."""

    name = "toys"
    sizes = {"fit": 14, "test": 21}

    def __init__(self, data: Any = None, size: int | None = None) -> None:
        self.size = size or 32

    def split(self, split: Any) -> Any:
        if split not in self.sizes:
            raise PriemoError(f"toys have no split {split!r}; they have fit and test")
        x, y = toy_faces(self.sizes[split], size=self.size, seed=len(split))
        ids = np.array([f"{split}{i}" for i in range(len(x))])
        return FaceSet(self.name, split, publish(x), y, ids, ids)


class Arrays(Toys):
    def split(self, split: Any) -> Any:
        return super().split(split).images


class OtherName(Toys):
    def split(self, split: Any) -> Any:
        return dataclasses.replace(super().split(split), name="others")


class NineEmotions(Toys):
    def split(self, split: Any) -> Any:
        faces = super().split(split)
        faces.labels[0] = 8  # after it was checked
        return faces


class SamePersons(Toys):
    def split(self, split: Any) -> Any:
        faces = super().split(split)
        persons = np.array([f"person {i}" for i in range(len(faces))])
        return dataclasses.replace(faces, persons=persons)


class SamePictures(Toys):
    def split(self, split: Any) -> Any:
        faces = super().split(split)
        faces.images[0] = 0
        return faces


class Shuffled(Toys):
    def split(self, split: Any) -> Any:
        faces = super().split(split)
        return faces.take(np.random.default_rng().permutation(len(faces)))


class OneSize(Toys):
    def __init__(self, data: Any = None, size: int | None = None) -> None:
        super().__init__(data)


class AnySplit(Toys):
    def split(self, split: Any) -> Any:
        return super().split(split if split in self.sizes else "test")


class SeedsAll(Toys):
    def split(self, split: Any) -> Any:
        torch.manual_seed(next(itertools.count(7)))
        return super().split(split)


CONFORMING = {
    "defenses": (Smooth, Drawn),
    "metrics": (brightness,),
    "datasets": (Toys,),
}
BREAKS: dict[str, dict[str, tuple[Any, ...]]] = {
    "defenses": {
        "keeps_the_image_contract": (Smaller,),
        "does_not_modify_its_input": (HalvesInPlace,),
        "is_deterministic": (Dithers,),
        "is_independent_of_the_batch": (Equalises,),
        "takes_any_array": (ThroughTorch,),
        "refuses_bad_images": (TakesFloats,),
        "leaves_global_state_alone": (ChangesFolder,),
        "its_stand_in_is_differentiable": (FlatStandIn,),
        "its_draws_differ": (OneDraw,),
    },
    "metrics": {
        "gives_a_number_for_each_image": (one_number, words),
        "does_not_modify_its_input": (subtracts_in_place,),
        "is_deterministic": (noisy,),
        "is_independent_of_the_batch": (standardised,),
        "takes_any_array": (through_torch,),
        "leaves_global_state_alone": (seeds_numpy,),
    },
    "datasets": {
        "gives_face_sets": (Arrays, OtherName),
        "keeps_the_contract_of_face_sets": (NineEmotions,),
        "splits_are_disjoint": (SamePersons, SamePictures),
        "is_reproducible": (Shuffled,),
        "gives_the_size_that_is_asked_for": (OneSize,),
        "refuses_an_unknown_split": (AnySplit,),
        "leaves_global_state_alone": (SeedsAll,),
    },
}
