"""The TOML that describes a weight file and the input and outputs of its network."""

from __future__ import annotations

import os
import re
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from priemo_bench.contracts.config import StrictModel, first_error
from priemo_bench.contracts.emotions import EMOTION_WORDS, emotion_of
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.errors import PriemoError
from priemo_bench.registry import unknown

OTHERS = ("other", "contempt", "contemptuous", "calm", "unknown", "uncertain", "none", "no-face",
          "nf", "valence", "arousal")  # fmt: skip
"""Labels of outputs that are none of the seven emotions; these outputs are left out."""
LARGEST = 8
"""Largest plausible mean or std where white is 1."""
Level = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class Description(StrictModel):
    """A weight file, its network, and what the card says of it.

    Attributes:
        format: of `file`: a state dict for a timm or torchvision network, TorchScript, or ONNX.
        file: relative to the TOML, or absolute. sha256: of the file, checked when given.
        architecture: timm's or torchvision's name of the network. options: further arguments of
            its constructor.
        labels: the emotion of each output, in the network's order; "other" for further outputs.
        outputs: "logits", or "probabilities" for a network that ends in a softmax.
        size: side of the input in pixels. channels: of the input, 1 (grey) or 3. order: of the
            three channels, and of mean and std.
        layout: of the input; "nhwc" for networks converted from Keras.
        range: value of white before normalisation, 1 or 255; mean and std are on the same scale.
        training_data, licence, data (names of the sets), authors: for the card.
        kin: kinship that these do not show: name of a victim to kinds of
            `priemo_bench.contracts.card.RELATIONS`.
    """

    name: str = Field(min_length=1)
    format: Literal["timm", "torchvision", "torchscript", "onnx"]
    file: Path
    sha256: str | None = Field(default=None, pattern="^[0-9a-fA-F]{64}$")
    architecture: str | None = None
    options: dict[str, Any] = {}
    labels: tuple[str, ...]
    outputs: Literal["logits", "probabilities"] = "logits"
    size: Annotated[int, Field(strict=True, gt=0, le=4096)]
    channels: Literal[1, 3]
    order: Literal["rgb", "bgr"] = "rgb"
    layout: Literal["nchw", "nhwc"] = "nchw"
    range: Literal[1, 255] = 1
    mean: tuple[Level, ...]
    std: tuple[Level, ...]
    licence: str = Field(min_length=1)
    training_data: str = Field(min_length=1)
    data: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    kin: dict[str, tuple[str, ...]] = {}

    @model_validator(mode="after")
    def _fits_together(self) -> Description:
        if not str(self.file).isprintable():
            raise PriemoError(f"file is {str(self.file)!r}; it must have no control character")
        needed = self.format in ("timm", "torchvision")
        if needed and not self.architecture:
            raise PriemoError(f"architecture is missing; give {self.format}'s name of the network")
        if not needed and (self.architecture or self.options):
            raise PriemoError(
                f"format {self.format!r} has its network in the file; leave architecture out"
            )
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.channels:
                raise PriemoError(
                    f"{name} has {len(values)} values; it must have one for each of the "
                    f"{self.channels} channels"
                )
        if min(self.std) <= 0:
            raise PriemoError(f"std is {list(self.std)}; it must be positive")
        if max(self.std) < 1 if self.range == 255 else max(*self.mean, *self.std) > LARGEST:
            raise PriemoError(
                f"mean {list(self.mean)} and std {list(self.std)} are not on the scale of range = "
                f"{self.range}; give all three for white = 1 or all for white = 255"
            )
        _ = self.emotion_outputs
        return self

    @property
    def emotion_outputs(self) -> list[int]:
        """Index of the network's output for each of EMOTIONS; PriemoError unless each has one."""
        emotions = [_emotion(label) for label in self.labels]
        for name in EMOTIONS:
            if emotions.count(name) != 1:
                times = "twice" if name in emotions else "not at all"
                raise PriemoError(f"labels name {name!r} {times}; each emotion must be there once")
        return [emotions.index(name) for name in EMOTIONS]


def _emotion(label: str) -> str | None:
    """The emotion of a label, None for one of OTHERS; PriemoError for an unknown word."""
    emotion = emotion_of(label)
    if emotion is None and re.sub(r"[ _]", "-", label.strip().casefold()) not in OTHERS:
        known = [*EMOTION_WORDS, *OTHERS]
        raise PriemoError(f'labels: {unknown("emotions", label, known)} (or write "other")')
    return emotion


def read(path: Path) -> tuple[Description, bytes, str]:
    """A description, the bytes of its weight file, and the SHA-256 of TOML and weights together.

    Raises:
        PriemoError: a file is missing or unreadable, a key or value is wrong, or the weights have
            another SHA-256 than the TOML says.
    """
    text = _bytes(path, "victim file")
    try:
        described = Description(**tomllib.loads(text.decode()))
    except ValidationError as error:
        raise PriemoError(f"victim file {path}: {first_error(error, Description)}") from None
    except (ValueError, RecursionError) as error:
        raise PriemoError(f"victim file {path} is not TOML: {error}") from None
    file = path.parent / os.path.expanduser(described.file)
    weights = _bytes(file, "weight file")
    digest = sha256(weights).hexdigest()
    if described.sha256 and described.sha256.lower() != digest:
        raise PriemoError(
            f"weight file {file} has SHA-256 {digest[:16]}..., {path} says "
            f"{described.sha256[:16]}...: it is corrupt or another version"
        )
    described = described.model_copy(update={"file": file, "sha256": digest})
    return described, weights, sha256(text + weights).hexdigest()


def _bytes(path: Path, what: str) -> bytes:
    if not os.path.exists(path):  # unlike Path.exists, it takes names of any length
        raise PriemoError(f"{what} {path} does not exist")
    if not os.path.isfile(path):
        raise PriemoError(f"{what} {path} is no file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise PriemoError(f"{what} {path} cannot be read: {error.strerror}") from None
    except MemoryError:
        raise PriemoError(f"memory ran out while {what} {path} was read") from None
