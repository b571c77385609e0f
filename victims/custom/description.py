"""The TOML that says what a weight file is and how its network wants to be shown a face."""

from __future__ import annotations

import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveInt, ValidationError, model_validator

from priemo_bench.contracts.config import StrictModel, first_error
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.errors import PriemoError
from priemo_bench.registry import unknown

SYNONYMS = {
    "angry": ("anger", "an", "ang"),
    "disgust": ("disgusted", "di", "dis"),
    "fear": ("fearful", "afraid", "scared", "fe", "fea"),
    "happy": ("happiness", "joy", "joyful", "ha", "hap"),
    "sad": ("sadness", "sa"),
    "surprise": ("surprised", "su", "sur"),
    "neutral": ("neutrality", "ne", "neu"),
}
OTHERS = ("other", "contempt", "contemptuous", "calm", "unknown", "uncertain", "none", "no-face",
          "nf", "valence", "arousal")  # fmt: skip
"""Outputs that are no emotion of ours; they are left out."""
KNOWN = {word: name for name in EMOTIONS for word in (name, *SYNONYMS[name])}
LARGEST = 8
"""No network that reads 0 to 1 has a larger mean or std."""


class Description(StrictModel):
    """A recogniser on disk.

    Attributes:
        format: what `file` is: a state dict of a timm or torchvision network, TorchScript, ONNX.
        file: beside the TOML, or absolute; sha256: of the file, checked when given.
        architecture: timm's or torchvision's name of the network; options: further arguments of
            its constructor.
        labels: what each output stands for, in the network's order; other outputs are "other".
        outputs: what the network gives: "logits" or "probabilities" (it ends in a softmax).
        size: side in pixels it reads; channels: 1 (grey) or 3; order: of the three, and
            of mean and std.
        layout: "nhwc" where the channels come last (networks that come from Keras).
        range: 1 or 255, the value of white before mean and std, which are on that scale.
        training_data, licence, data (names of the sets), authors: for the card; kin: victims of
            which these do not show what they share, each with a list of kinds.
    """

    name: str = Field(min_length=1)
    format: Literal["timm", "torchvision", "torchscript", "onnx"]
    file: Path
    sha256: str | None = Field(default=None, pattern="^[0-9a-fA-F]{64}$")
    architecture: str | None = None
    options: dict[str, Any] = {}
    labels: tuple[str, ...]
    outputs: Literal["logits", "probabilities"] = "logits"
    size: PositiveInt
    channels: Literal[1, 3]
    order: Literal["rgb", "bgr"] = "rgb"
    layout: Literal["nchw", "nhwc"] = "nchw"
    range: Literal[1, 255] = 1
    mean: tuple[float, ...]
    std: tuple[float, ...]
    licence: str = Field(min_length=1)
    training_data: str = Field(min_length=1)
    data: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    kin: dict[str, tuple[str, ...]] = {}

    @model_validator(mode="after")
    def _fits_together(self) -> Description:
        needed = self.format in ("timm", "torchvision")
        if needed and not self.architecture:
            raise PriemoError(f"architecture is missing; give {self.format}'s name of the network")
        if not needed and (self.architecture or self.options):
            raise PriemoError(
                f"format {self.format!r} brings its own network; leave architecture out"
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
        _ = self.order_of_ours
        return self

    @property
    def order_of_ours(self) -> list[int]:
        """The network's output for each of EMOTIONS; PriemoError unless each has just one."""
        words = [label.strip().lower().replace("_", "-").replace(" ", "-") for label in self.labels]
        for word, label in zip(words, self.labels, strict=True):
            if word not in KNOWN and word not in OTHERS:
                known = [*KNOWN, *OTHERS]
                raise PriemoError(f'labels: {unknown("emotions", label, known)} (or say "other")')
        emotions = [KNOWN.get(word) for word in words]
        for name in EMOTIONS:
            if emotions.count(name) != 1:
                times = "twice" if name in emotions else "not at all"
                raise PriemoError(
                    f"labels name {name!r} {times}; each emotion must stand there once"
                )
        return [emotions.index(name) for name in EMOTIONS]


def read(path: Path) -> tuple[Description, bytes, str]:
    """The description, its weight file's bytes, and the SHA-256 of TOML and weights together.

    Raises:
        PriemoError: a file that is missing or unreadable, a key or value that is wrong, or
            weights with another SHA-256 than the TOML says.
    """
    text = _bytes(path, "victim file")
    try:
        found = Description(**tomllib.loads(text.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PriemoError(f"victim file {path} is not TOML: {error}") from None
    except ValidationError as error:
        raise PriemoError(f"victim file {path}: {first_error(error, Description)}") from None
    found = found.model_copy(update={"file": path.parent / found.file.expanduser()})
    weights = _bytes(found.file, "weight file")
    digest = sha256(weights).hexdigest()
    if found.sha256 and found.sha256.lower() != digest:
        raise PriemoError(
            f"weight file {found.file} has SHA-256 {digest[:16]}..., {path} says "
            f"{found.sha256[:16]}...: it is corrupt or another version"
        )
    found = found.model_copy(update={"sha256": digest})
    return found, weights, sha256(text + weights).hexdigest()


def _bytes(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise PriemoError(f"{what} {path} does not exist") from None
    except OSError as error:
        raise PriemoError(f"{what} {path} cannot be read: {error.strerror}") from None
