"""A folder of Hugging Face as a network: config.json, model.safetensors, preprocessor_config.json.

Nothing is downloaded, nothing is unpickled, and no code of the folder runs.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from priemo_bench.contracts.probe import reason
from priemo_bench.errors import PriemoError
from priemo_bench.victims.custom.description import Description, check_is_file

LARGEST_JSON = 2**22
MOST = 10_000_000
"""Largest plausible whole number in a config: of layers, heads, pixels or words."""
GROWTH = 4
"""Times the numbers in the file that the network of the config may have."""


class ImageClassifier(nn.Module):
    """The logits of an image classifier of transformers, for the middle of its images.

    Args:
        crop: side of the middle that the network sees; None for all of it.
    """

    def __init__(self, net: nn.Module, crop: int | None) -> None:
        super().__init__()
        self.net, self.crop = net, crop

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, size, size), normalised, to logits (n, labels)."""
        if self.crop and self.crop < x.shape[-1]:
            first = (x.shape[-1] - self.crop) // 2
            x = x[..., first : first + self.crop, first : first + self.crop]
        logits: Tensor = self.net(pixel_values=x.contiguous()).logits
        return logits


def facts(found: Description) -> dict[str, Any]:
    """Labels, size, channels, mean and std out of the folder's configs.

    Raises:
        PriemoError: a config is missing where the description does not replace it, or is no such
            config.
    """
    config = _json(found.file / "config.json")
    known: dict[str, Any] = {"channels": config.get("num_channels", 3)}
    labels = config.get("id2label")
    if isinstance(labels, dict) and labels and all(str(key).isdecimal() for key in labels):
        known["labels"] = tuple(str(labels[key]) for key in sorted(labels, key=int))
    processor = found.file / "preprocessor_config.json"
    if processor.exists():
        known |= _preprocessing(_json(processor), processor)
    elif found.size is None or found.mean is None:
        raise PriemoError(
            f"{found.file} has no preprocessor_config.json; give size, mean and std in the TOML"
        )
    return known


def _preprocessing(config: dict[str, Any], path: Path) -> dict[str, Any]:
    """Size, mean and std as `Description` has them."""
    factor = config.get("rescale_factor", 1 / 255)
    rescaled = config.get("do_rescale", True)
    plain = not config.get("rescale_offset") and abs(255 * float(factor or 0) - 1) < 1e-3
    if rescaled and not plain:
        raise PriemoError(f"{path} rescales by {factor}; give range, mean and std in the TOML")
    known: dict[str, Any] = {"range": 1 if rescaled else 255}
    if config.get("do_normalize", True):
        white = known["range"]
        known["mean"] = tuple(config.get("image_mean") or (0.0,))
        known["std"] = tuple(config.get("image_std") or (float(white),))
    elif not rescaled:
        known["std"] = (1.0,)
        known["mean"] = (0.0,)
    if sides := _sides(config):
        known["size"] = sides[0]
    return known


def _sides(config: dict[str, Any]) -> tuple[int, int | None] | None:
    """Side that images are resized to, and that of the middle which is kept, None for all of it."""
    size = _side(config.get("size"))
    if size is None:
        return None
    share = config.get("crop_pct")
    if isinstance(share, float) and 0 < share < 1 and size < 384:  # ConvNeXt's
        return int(size / share), size
    if config.get("do_center_crop") and (crop := _side(config.get("crop_size"))):
        return size, crop
    return size, None


def _side(size: object) -> int | None:
    """A side out of 224, {"height": 224, "width": 224} or {"shortest_edge": 224}."""
    if isinstance(size, dict):
        size = size.get("shortest_edge", size.get("height"))
    return size if isinstance(size, int) else None


def network(described: Description) -> nn.Module:
    """The network of a folder in float32.

    Raises:
        PriemoError: the extra is not installed; the folder has other weights than its config says,
            pickled ones, or code of its own.
    """
    try:
        transformers: Any = import_module("transformers")
    except ImportError:
        raise PriemoError(
            'format "transformers" needs an extra: pip install "priemo-bench[models]"'
        ) from None
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    folder = described.file
    plain = _json(folder / "config.json")
    _check_plausible(plain, folder)
    try:
        local = {"local_files_only": True, "trust_remote_code": False}
        config = transformers.AutoConfig.from_pretrained(folder, **local)
        config.num_labels = len(described.labels or ())
        _check_size(config, folder)
        net, loading = transformers.AutoModelForImageClassification.from_pretrained(
            folder, config=config, use_safetensors=True, output_loading_info=True,
            ignore_mismatched_sizes=False, **local,
        )  # fmt: skip
    except PriemoError:
        raise
    except Exception as error:  # of transformers, of any kind
        raise PriemoError(
            f"{folder} is no image classifier of transformers: {_first(error)}"
        ) from (error)
    if missing := sorted(map(str, loading["missing_keys"])):
        raise PriemoError(
            f"{folder / 'model.safetensors'} lacks {missing[0]!r} and {len(missing) - 1} more of "
            "the network that config.json describes"
        )
    sides = _sides(_json(path)) if (path := folder / "preprocessor_config.json").exists() else None
    crop = sides[1] if sides and sides[0] == described.size else None
    return ImageClassifier(net.float(), crop)


def _check_plausible(config: dict[str, Any], folder: Path) -> None:
    """PriemoError for numbers that no network has, and layers that its weights cannot fill."""
    tensors = len(_shapes(folder))
    for key, value in _numbers(config):
        if abs(value) > MOST or ("layers" in key and value > tensors):
            raise PriemoError(f"{folder / 'config.json'}: {key} is {value}, which fits no weights")


def _numbers(config: Any, key: str = "") -> list[tuple[str, int]]:
    if isinstance(config, dict):
        return [pair for name, value in config.items() for pair in _numbers(value, str(name))]
    if isinstance(config, list):
        return [pair for value in config for pair in _numbers(value, key)]
    return [(key, config)] if isinstance(config, int) else []


def _check_size(config: Any, folder: Path) -> None:
    """PriemoError where the network of the config has far more parameters than the file."""
    from math import prod

    transformers: Any = import_module("transformers")
    with torch.device("meta"):
        auto = transformers.AutoModelForImageClassification
        empty = auto.from_config(config, trust_remote_code=False)
    wanted = sum(p.numel() for p in empty.parameters())
    stored = sum(prod(shape) for shape in _shapes(folder).values())
    if wanted > GROWTH * stored:
        raise PriemoError(
            f"{folder / 'model.safetensors'} has {stored:,} numbers; the network that config.json "
            f"describes has {wanted:,}"
        )


def _shapes(folder: Path) -> dict[str, list[int]]:
    """Shape of each tensor in model.safetensors; only its header is read."""
    path = folder / "model.safetensors"
    try:
        with safe_open(path, "pt") as file:
            return {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise PriemoError(f"{path} is not safetensors, or is damaged: {reason(error)}") from None


def _json(path: Path) -> dict[str, Any]:
    check_is_file(path, "config")
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise PriemoError(f"{path} has more than {LARGEST_JSON // 2**20} MB")
        found = json.loads(path.read_bytes())
    except PriemoError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise PriemoError(f"{path} is not JSON: {reason(error)}") from None
    if not isinstance(found, dict):
        raise PriemoError(f"{path} is no config: it holds a {type(found).__name__}")
    return found


def _first(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
