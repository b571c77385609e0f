"""Training faces in memory, with the victim's own size and channels, plain and equalised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from priemo_bench.contracts.augmentation import Augmentation, augment, equalised
from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.image import EMOTIONS, ByteImages
from priemo_bench.contracts.training import TrainingSpec
from priemo_bench.contracts.victim import GREY, Victim
from priemo_bench.errors import PriemoError


def as_input(images: ByteImages, size: int, channels: int) -> ByteImages:
    """Images with the size and channels of a victim's input, rounded to 8 bits.

    (n, 1 or 3, h, w) uint8 to (n, channels, size, size) uint8.
    """
    parts = []
    for start in range(0, len(images), 1024):
        x = torch.from_numpy(images[start : start + 1024]).float()
        if channels == 1 and x.shape[1] == 3:
            x = (x * torch.tensor(GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)
        elif channels == 3:
            x = x.expand(-1, 3, -1, -1)
        if x.shape[-2:] != (size, size):
            x = F.interpolate(x, (size, size), mode="bilinear", antialias=True)
        parts.append(x.round().clamp(0, 255).to(torch.uint8).numpy())
    return np.concatenate(parts)


@dataclass(frozen=True)
class Pool:
    """uint8 faces (n, c, s, s), their equalised copies, labels, and the rows of one epoch."""

    plain: Tensor
    equal: Tensor
    labels: Tensor
    rows: Tensor

    @classmethod
    def of(cls, victim: Victim, spec: TrainingSpec, sets: Mapping[str, FaceSet]) -> Pool:
        """The training splits of all data sets in `spec.repeats`.

        Raises:
            PriemoError: a data set is missing, or a set is not a training split.
        """
        images: list[ByteImages] = []
        labels, rows = [], []
        for name, repeats in spec.repeats.items():
            if name not in sets:
                raise PriemoError(f"training {spec.name!r} needs the data set {name!r}")
            if sets[name].split != "train":
                raise PriemoError(
                    f"training {spec.name!r} was given {name}/{sets[name].split}; victims train on "
                    "the train split only"
                )
            start = sum(len(part) for part in images)
            images.append(as_input(sets[name].images, victim.size, victim.channels))
            labels.append(sets[name].labels)
            rows.append(np.tile(np.arange(start, start + len(images[-1])), repeats))
        plain = np.concatenate(images)
        return cls(
            torch.from_numpy(plain),
            torch.from_numpy(equalised(plain)),
            torch.from_numpy(np.concatenate(labels)),
            torch.from_numpy(np.concatenate(rows)),
        )

    def weights(self, balance: float) -> Tensor:
        """(7,) loss weights: faces of an emotion to the power -balance, 1 on average over faces."""
        counts = torch.bincount(self.labels[self.rows], minlength=len(EMOTIONS)).clamp_min(1)
        weights = counts.double() ** -balance
        return (weights * (counts.sum() / (counts * weights).sum())).float()

    def batches(self, size: int, augmentation: Augmentation) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch in random order: augmented (n, c, s, s) in [0, 1], labels (n,)."""
        order = self.rows[torch.randperm(len(self.rows))]
        for rows in torch.split(order[: len(order) - len(order) % size], size):
            equal = (torch.rand(size) < augmentation.equalised).view(-1, 1, 1, 1)
            x = torch.where(equal, self.equal[rows], self.plain[rows]).float() / 255
            yield augment(x, augmentation), self.labels[rows]
