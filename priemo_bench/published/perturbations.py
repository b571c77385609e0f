"""Fitted perturbations that anybody can load: files beside a list with their digests."""

from __future__ import annotations

import tomllib
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, ValidationError

from priemo_bench.contracts.config import StrictModel, first_error
from priemo_bench.errors import PriemoError
from priemo_bench.published.benchmarks import Sha256
from priemo_bench.registry import unknown

if TYPE_CHECKING:
    from priemo_bench.contracts.attack import FittableAttack

SHIPPED = Path(__file__).parent / "perturbations"
LIST = "perturbations.toml"


class Perturbation(StrictModel):
    """A published perturbation.

    Attributes:
        file: beside the list. sha256: of it. summary: what it is, in a sentence.
        command: that made it. licence: of the file. protects: what it was measured to do.
    """

    file: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*\.safetensors$")]
    sha256: Sha256
    summary: str
    command: str
    licence: str
    protects: str


def perturbations(folder: Path | str | None = None) -> dict[str, Perturbation]:
    """The published perturbations by name: those of the package, or of a folder's list.

    Raises:
        PriemoError: the list is missing or wrong.
    """
    path = Path(folder or SHIPPED) / LIST
    try:
        values = tomllib.loads(path.read_text("utf-8"))
        return {name: Perturbation(**own) for name, own in values.items()}
    except (OSError, UnicodeDecodeError) as error:
        raise PriemoError(f"{path} cannot be read: {error}") from None
    except ValidationError as error:
        raise PriemoError(f"{path}, {first_error(error, Perturbation)}") from None
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise PriemoError(f"{path} is no list of perturbations: {error}") from None


def perturbation_file(name: str, folder: Path | str | None = None) -> Path:
    """The file of a published perturbation, as `priemo-bench protect --with` takes it.

    Raises:
        PriemoError: no such name; the file is missing, or not the one that was published.
    """
    known = perturbations(folder)
    if name not in known:
        raise unknown("perturbations", name, known)
    path = Path(folder or SHIPPED) / known[name].file
    try:
        digest = sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise PriemoError(f"{path} cannot be read: {error}") from None
    if digest != known[name].sha256:
        raise PriemoError(f"{path} is not the file that was published: its SHA-256 is {digest}")
    return path


def load_perturbation(name: str, folder: Path | str | None = None) -> FittableAttack:
    """A published perturbation, as the attack that was fitted; nothing is downloaded.

    Args:
        name: as `priemo-bench list perturbations` has it.
        folder: with a `perturbations.toml` of its own; None is the package's.

    Returns:
        An attack whose `apply(x)` protects floats (n, c, h, w) of the size it was fitted on, and
        whose `noise` is the perturbation.

    Raises:
        PriemoError: no such name, or a file that is missing or not the published one.

    Example:
        >>> from priemo_bench import load_perturbation
        >>> load_perturbation("priemo-universal-fer2013-v1").noise.shape
        (1, 1, 48, 48)
    """
    from priemo_bench.photos.fitted import ByFile
    from priemo_bench.photos.front import settings_of

    path = perturbation_file(name, folder)
    return ByFile(settings_of(perturbation=path, readers=())).attack
