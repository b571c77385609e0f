"""Fitted attacks as safetensors: what was fitted, and what is needed to use it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import priemo_bench
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.storage import Tensors, load_tensors, save_tensors
from priemo_bench.errors import PriemoError

FORMAT = "priemo-bench-2"


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
        PriemoError: any other file, or one of an older version.
    """
    tensors, metadata = load_tensors(path)
    if metadata.get("format") != FORMAT or metadata.get("attack") != attack:
        raise PriemoError(f"{path} was not written by {attack}.save of this version")
    return tensors, metadata["image"], json.loads(metadata["settings"])
