"""The TOML that describes a network of one's own, and the input and outputs that it has."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from priemo_bench.contracts.config import StrictModel, first_error
from priemo_bench.contracts.emotions import outputs_of_emotions
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.errors import PriemoError

LARGEST = 8
"""Largest plausible mean or std where white is 1."""
LARGEST_TOML = 2**20
Level = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Format = Literal["timm", "torchvision", "torchscript", "onnx", "transformers", "keras", "function",
                 "module", "readings"]  # fmt: skip
BY_NAME = ("timm", "torchvision")
CODE = ("function", "module")
JUDGED_ONLY = ("function", "readings")
"""Formats without gradients."""
FOLDER = ("config.json", "model.safetensors", "preprocessor_config.json")
"""What decides the predictions of a folder of Hugging Face."""


class Description(StrictModel):
    """A network: its file, its input, its outputs, and what the card says of it.

    Attributes:
        name: of the victim; that of the TOML file when it is left out.
        format: of `file`: a state dict for a timm or torchvision network, TorchScript, ONNX, a
            folder of Hugging Face, Keras, a function or a torch module in Python, or a table of
            readings.
        file: relative to the TOML, or absolute; of code "file.py:thing" or "module:thing".
        sha256: of the file, checked when given.
        weights: state dict of a module, where its code does not load it.
        architecture: timm's or torchvision's name of the network; for Keras weights alone, the JSON
            of the model. options: further arguments of the network's constructor.
        labels: the emotion of each output, in the network's order; "other" for further outputs.
        outputs: "logits", or "probabilities" for a network that ends in a softmax; seen when None.
        output: the one of several outputs that has the emotions, by number or name.
        size: side of the input in pixels. channels: of the input, 1 (grey) or 3. order: of the
            three channels, and of mean and std.
        layout: of the input; "nhwc" for networks converted from Keras.
        range: value of white before normalisation, 1 or 255; mean and std are on the same scale.
        evaluation_only: whether it is judged only, and never a surrogate.
        training_data, licence, data (names of the sets), authors: for the card.
        kin: kinship that these do not show: name of a victim to kinds of
            `priemo_bench.contracts.card.RELATIONS`.
    """

    name: str = ""
    format: Format
    file: Path
    sha256: str | None = Field(default=None, pattern="^[0-9a-fA-F]{64}$")
    weights: Path | None = None
    architecture: str | None = None
    options: dict[str, Any] = {}
    labels: tuple[str, ...] | None = None
    outputs: Literal["logits", "probabilities"] | None = None
    output: Annotated[int, Field(strict=True)] | str | None = None
    size: Annotated[int, Field(strict=True, gt=0, le=4096)] | None = None
    channels: Literal[1, 3] | None = None
    order: Literal["rgb", "bgr"] = "rgb"
    layout: Literal["nchw", "nhwc"] | None = None
    range: Literal[1, 255] = 1
    mean: tuple[Level, ...] | None = None
    std: tuple[Level, ...] | None = None
    evaluation_only: Annotated[bool, Field(strict=True)] = False
    licence: str = Field(default="not stated", min_length=1)
    training_data: str = Field(default="not stated", min_length=1)
    data: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    kin: dict[str, tuple[str, ...]] = {}

    @model_validator(mode="after")
    def _fits_together(self) -> Description:
        for key in ("name", "file", "weights"):
            value = str(getattr(self, key) or "")
            if not value.isprintable():
                raise PriemoError(f"{key} is {value!r}; it must have no control character")
        if self.format in BY_NAME and not self.architecture:
            raise PriemoError(f"architecture is missing; give {self.format}'s name of the network")
        if self.format not in (*BY_NAME, "keras") and self.architecture:
            raise PriemoError(
                f"format {self.format!r} has its network in the file; leave architecture out"
            )
        if self.options and self.format not in (*BY_NAME, "module"):
            raise PriemoError(f"format {self.format!r} has no constructor; leave options out")
        if self.weights and self.format != "module":
            raise PriemoError('weights go with format "module"; file is that of the weights here')
        if self.labels is not None:
            outputs_of_emotions(self.labels)
        self._check_levels()
        return self

    def _check_levels(self) -> None:
        """PriemoError unless mean and std go with channels and range."""
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) not in (self.channels or 1, self.channels or 3):
                raise PriemoError(
                    f"{name} has {len(values)} values; it must have one for each of the "
                    f"{self.channels or '1 or 3'} channels"
                )
        mean, std = self.mean or (0.0,), self.std or (float(self.range),)
        if min(std) <= 0:
            raise PriemoError(f"std is {list(std)}; it must be positive")
        if max(std) < 1 if self.range == 255 else max(*mean, *std) > LARGEST:
            raise PriemoError(
                f"mean {list(mean)} and std {list(std)} are not on the scale of range = "
                f"{self.range}; give all three for white = 1 or all for white = 255"
            )

    @property
    def judged_only(self) -> bool:
        """Whether it has no gradient, and can be no surrogate."""
        return self.evaluation_only or self.format in JUDGED_ONLY

    def completed(self, found: Mapping[str, Any]) -> Description:
        """With what its file says of its input and outputs, where the TOML does not.

        Raises:
            PriemoError: labels are still missing; they cannot be guessed.
        """
        given = self.model_dump(exclude_unset=True)
        try:
            whole = Description(**{**found, **given, "name": self.name})
        except ValidationError as error:
            raise first_error(error, Description) from None
        if whole.labels is None:
            if whole.format not in (*CODE, "readings"):
                raise PriemoError(
                    "labels is missing; give the emotion of each output, in the network's order"
                )
            whole = whole.model_copy(update={"labels": EMOTIONS})
        return whole


def read(path: Path, file: Path | None = None) -> Description:
    """The description in a TOML file, its places relative to where it stands.

    Args:
        file: that of the network, for a description that leaves it out.

    Raises:
        PriemoError: the file is missing or unreadable, or a key or value is wrong.
    """
    text = _text(path)
    try:
        values = tomllib.loads(text)
        if file is not None:
            values["file"] = str(Path.cwd() / os.path.expanduser(file))
        found = Description(**values)
    except ValidationError as error:
        raise PriemoError(f"victim file {path}: {first_error(error, Description)}") from None
    except PriemoError as error:
        raise PriemoError(f"victim file {path}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise PriemoError(f"victim file {path} is not TOML: {error}") from None
    places: dict[str, Any] = {
        key: path.parent / os.path.expanduser(place)
        for key in ("file", "weights")
        if (place := getattr(found, key)) is not None
    }
    if found.format in CODE and not _is_file_of_code(found.file):
        places.pop("file")  # "module:thing"
    if found.architecture and found.format == "keras":
        places["architecture"] = str(path.parent / os.path.expanduser(found.architecture))
    return found.model_copy(update={**places, "name": found.name or path.stem})


def _is_file_of_code(file: Path) -> bool:
    return str(file).rpartition(":")[0].endswith(".py")


def _text(path: Path) -> str:
    check_is_file(path, "victim file")
    if path.stat().st_size > LARGEST_TOML:
        raise PriemoError(f"victim file {path} has more than {LARGEST_TOML // 2**20} MB")
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise PriemoError(f"victim file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise PriemoError(f"victim file {path} is not TOML: {error}") from None


def files_of(found: Description) -> list[Path]:
    """The files that decide the predictions of a description, the described one first.

    Raises:
        PriemoError: one of them is missing, or no file.
    """
    if found.format == "transformers":
        if not os.path.isdir(found.file):
            raise PriemoError(
                f"{found.file} is no folder; it must have {', '.join(FOLDER)} of Hugging Face"
            )
        files = [found.file / name for name in FOLDER]
        if not os.path.exists(files[-1]):  # the TOML may say the same
            files.pop()
    elif found.format in CODE:
        place = Path(str(found.file).rpartition(":")[0])
        files = [place] if place.suffix == ".py" else []
    else:
        files = [found.file]
    if found.weights:
        files.append(found.weights)
    if found.format == "keras" and found.architecture:
        files.append(Path(found.architecture))
    for file in files:
        check_is_file(file, "weight file")
    return files


def identity(found: Description, files: list[Path]) -> tuple[str, str]:
    """SHA-256 of the described file, and of the description with all of its files.

    Raises:
        PriemoError: a file is unreadable, or is not the one that the description pins.
    """
    digests = [_digest(file) for file in files]
    own = next(iter(digests), sha256(str(found.file).encode()).hexdigest())
    if found.format == "transformers":
        own = digests[FOLDER.index("model.safetensors")]
    if found.sha256 and found.sha256.lower() != own:
        raise PriemoError(
            f"weight file {found.file} has SHA-256 {own[:16]}..., {found.name} pins "
            f"{found.sha256[:16]}...: it is corrupt or another version"
        )
    place = {"file", "weights", "sha256"}
    text = found.model_dump_json(exclude=place) + "".join(digests)
    return own, sha256(text.encode()).hexdigest()


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise PriemoError(f"weight file {file} cannot be read: {error.strerror}") from None


def check_is_file(path: Path, what: str) -> None:
    """PriemoError unless there is a file at `path`."""
    if not os.path.exists(path):  # unlike Path.exists, it takes names of any length
        raise PriemoError(f"{what} {path} does not exist")
    if not os.path.isfile(path):
        raise PriemoError(f"{what} {path} is no file")


def file_bytes(path: Path) -> bytes:
    """The content of a weight file; PriemoError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise PriemoError(f"weight file {path} cannot be read: {error.strerror}") from None
    except MemoryError:
        raise PriemoError(f"memory ran out while weight file {path} was read") from None
