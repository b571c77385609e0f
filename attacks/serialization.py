"""Fitted attacks as safetensors: what was fitted, and what is needed to use it again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

import priemo_bench
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.storage import Tensors, load_tensors, save_tensors
from priemo_bench.errors import PriemoError

FORMAT = "priemo-bench-2"
LARGEST_SIDE = 4096
"""Of the images that a saved attack is for, in pixels."""


def save_attack(
    attack: str, path: Path, tensors: Tensors, image: str, settings: Mapping[str, object]
) -> None:
    """Write what an attack has fitted.

    Args:
        attack: name of its class. tensors: what was fitted; empty before a fit.
        image: shape of the images it was fitted on, "CxHxW", or "any".
        settings: constructor arguments and results of the fit, as JSON can hold them.

    Raises:
        PriemoError: nothing was fitted. StorageError: the file cannot be written.
    """
    if not tensors:
        raise PriemoError("nothing to save: call fit() first")
    metadata = {
        "format": FORMAT,
        "attack": attack,
        "version": priemo_bench.__version__,
        "emotions": ",".join(EMOTIONS),
        "image": image,
        "settings": json.dumps(settings),
    }
    save_tensors(path, tensors, metadata)


def load_attack(attack: str, path: Path) -> tuple[Tensors, str, dict[str, Any]]:
    """The tensors, image shape and settings that `save_attack` wrote of the class `attack`.

    Raises:
        PriemoError: any other file, one of an older version, or a damaged one.
    """
    with damaged(path):
        tensors, metadata = load_tensors(path)
        if metadata.get("format") != FORMAT or metadata.get("attack") != attack:
            raise PriemoError(f"{path} was not written by {attack}.save of this version")
        if metadata["emotions"] != ",".join(EMOTIONS):
            raise PriemoError(f"{path} is for emotions {metadata['emotions']!r}")
        settings = json.loads(metadata["settings"], parse_constant=_refuse_constant)
        if not isinstance(settings, dict):
            raise TypeError("its settings are no table")
        for name, value in tensors.items():
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise ValueError(f"{name} has values that are not finite")
        return tensors, metadata["image"], settings


@contextmanager
def damaged(path: Path) -> Iterator[None]:
    """Re-raise what reading an attack's file raises as PriemoError, one sentence that names it."""
    try:
        yield
    except PriemoError:
        raise
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        lacks = "lacks " if isinstance(error, KeyError) else ""
        raise PriemoError(f"{path} is damaged: {lacks}{reason}") from error


def noise_array(tensors: Tensors, name: str, image: str) -> npt.NDArray[np.float32]:
    """The array `name`, float32 of shape (rows, c, h, w) for images "CxHxW".

    Raises:
        KeyError, ValueError: otherwise.
    """
    array = tensors[name]
    if array.dtype != np.float32 or array.shape[1:] != image_shape(image) or not len(array):
        raise ValueError(f"{name} is {array.dtype} of shape {array.shape}, for images {image!r}")
    return array


def image_shape(image: str) -> tuple[int, int, int]:
    """(c, h, w) of "CxHxW"; ValueError for what no image has."""
    channels, height, width = map(int, image.split("x"))
    if channels not in (1, 3) or not 0 < height <= LARGEST_SIDE or not 0 < width <= LARGEST_SIDE:
        raise ValueError(f"it is for images {image!r}")
    return channels, height, width


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"its settings hold {name}")
