"""What a universal attack has fitted, as safetensors with its meaning in the metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

import priemo_bench
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.errors import PriemoError

FORMAT = "noise-1"
T = TypeVar("T")


def save(attack: Any, path: Path, arrays: Mapping[str, np.ndarray], image: str) -> None:
    """Write `arrays`, the attack's `attack_params` and fooling rate; PriemoError before a fit.

    Args:
        arrays: what was fitted; empty before a fit.
        image: the shape of the faces it was fitted on, "cxhxw".
    """
    if not arrays:
        raise PriemoError("nothing to save: call fit() first")
    left_out = {"summary_writer", "surrogates", "verbose"}
    settings = {n: getattr(attack, n) for n in attack.attack_params if n not in left_out}
    metadata = {
        "format": FORMAT,
        "attack": type(attack).__name__,
        "version": priemo_bench.__version__,
        "emotions": ",".join(EMOTIONS),
        "image": image,
        "settings": json.dumps(settings),
        "fooling_rate": json.dumps(attack.fooling_rate),
    }
    save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, path, metadata)


def load(cls: type[T], path: Path, classifier: Any) -> tuple[T, dict[str, np.ndarray], str]:
    """The attack, arrays and image that `save` wrote of a `cls`; PriemoError for any other file."""
    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise PriemoError(f"{path} cannot be read as a saved perturbation: {error}") from error
    if metadata.get("format") != FORMAT or metadata.get("attack") != cls.__name__:
        raise PriemoError(f"{path} was not written by {cls.__name__}.save")
    attack: Any = cls(classifier, **json.loads(metadata["settings"]))  # type: ignore[call-arg]
    attack.fooling_rate = json.loads(metadata["fooling_rate"])
    return attack, arrays, metadata["image"]
