"""Networks from weight files, format by format; nothing is unpickled."""

from __future__ import annotations

import io
import pickle
import pickletools
import re
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import timm
import torch
import torchvision
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from priemo_bench.contracts.network_victim import Contiguous
from priemo_bench.errors import PriemoError
from priemo_bench.registry import unknown
from priemo_bench.victims.custom.description import BY_NAME, Description, file_bytes

State = dict[str, Tensor]
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "state_dict_ema")
"""Keys under which training scripts save the state dict beside optimizer and epoch."""
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
"""Of names in the state dict: from nn.DataParallel, torch.compile, or a wrapping module."""
RESERVED = ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path",
              "weights", "weights_backbone", "num_classes", "in_chans", "cache_dir")  # fmt: skip
"""Constructor arguments that load other weights, or that the TOML sets already."""
LARGEST_GROWTH = 20
"""Times its size to which a packed weight file may unpack."""


def facts(found: Description) -> dict[str, Any]:
    """What the file of a description says of input and outputs, by keys of `Description`.

    Raises:
        PriemoError: the file is not of the described format.
    """
    if found.format == "transformers":
        from priemo_bench.victims.custom import transformers_folder

        return transformers_folder.facts(found)
    if found.format == "keras":
        from priemo_bench.victims.custom import keras_file

        return keras_file.facts(found)
    if found.format == "onnx":
        from priemo_bench.victims.custom import onnx_file

        return onnx_file.facts(found, _weights(found))
    return {"channels": 3} if found.format in BY_NAME else {}


def network(described: Description) -> nn.Module:
    """The network in float32 with its weights.

    Raises:
        PriemoError: the file is not of the described format or does not fit its network.
    """
    if described.format == "transformers":
        from priemo_bench.victims.custom import transformers_folder

        return transformers_folder.network(described)
    if described.format == "keras":
        from priemo_bench.victims.custom import keras_file

        return keras_file.network(described)
    if described.format == "module":
        from priemo_bench.victims.custom import code_file

        net = code_file.network(described)
        if described.weights:
            _fill(net, _state(described, file_bytes(described.weights)), described)
        return Contiguous(net.float())
    weights = _weights(described)
    if described.format == "torchscript":
        return _torchscript(described, weights)
    if described.format == "onnx":
        from priemo_bench.victims.custom import onnx_file

        return onnx_file.convert_onnx(described, weights)
    net = _empty(described)
    _fill(net, _state(described, weights), described)
    return net


def _weights(described: Description) -> bytes:
    weights = file_bytes(described.file)
    _check_is_no_text(described, weights)
    return weights


def _check_is_no_text(described: Description, weights: bytes) -> None:
    """PriemoError for a web page, or the pointer that Git LFS keeps in place of a file."""
    head = weights[:100]
    if head and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        raise PriemoError(
            f"{described.file} is a text that begins with {head.decode()[:40]!r}, not weights; "
            "fetch the file itself (git lfs pull, where it is a pointer)"
        )


def _torchscript(described: Description, weights: bytes) -> nn.Module:
    try:
        net: nn.Module = torch.jit.load(  # type: ignore[no-untyped-call]
            io.BytesIO(weights), map_location="cpu"
        )
        return Contiguous(net.float())
    except Exception as error:  # torch documents no exception types
        raise _unreadable(described, "is not TorchScript, or is damaged", error) from None


def _empty(described: Description) -> nn.Module:
    """The network of a state dict, with random weights; nothing is downloaded."""
    name, classes = str(described.architecture), len(described.labels or ())
    if reserved := set(described.options) & set(RESERVED):
        raise PriemoError(f"options of {described.name!r} may not have {sorted(reserved)[0]!r}")
    try:
        if described.format == "timm":
            if not timm.is_model(name):
                raise unknown("timm networks", name, timm.list_models())
            net: nn.Module = timm.create_model(
                name, num_classes=classes, in_chans=described.channels, **described.options
            )
            return net
        known = torchvision.models.list_models(module=torchvision.models)
        if name not in known:
            raise unknown("torchvision networks", name, known)
        if described.channels != 3:
            raise PriemoError("channels is 1; networks of torchvision have 3 input channels")
        made: nn.Module = torchvision.models.get_model(
            name, weights=None, num_classes=classes, **described.options
        )
        return made
    except PriemoError:
        raise
    except Exception as error:  # any that a constructor may raise
        raise PriemoError(
            f"{described.format} cannot make {name!r} with options {described.options}: "
            f"{_first_line(error)}"
        ) from None


def _state(described: Description, weights: bytes) -> State:
    """The state dict in a safetensors or .pth file."""
    _check_unpacks(described, weights)
    if (described.weights or described.file).suffix == ".safetensors":
        try:
            return _unwrap(load_safetensors(weights), described)
        except PriemoError:
            raise
        except Exception as error:
            raise _unreadable(described, "is not safetensors, or is damaged", error) from None
    try:
        loaded = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _pickled(described, weights, error) from error
    except Exception as error:  # of a file of any kind
        if "TorchScript" in str(error):
            raise PriemoError(
                f'{described.file} is TorchScript; give format = "torchscript"'
            ) from None
        raise _unreadable(described, "is damaged", error) from None
    return _unwrap(loaded, described)


def _check_unpacks(described: Description, weights: bytes) -> None:
    """PriemoError for a zip file that would grow far beyond its size."""
    whole = 0
    with suppress(Exception), zipfile.ZipFile(io.BytesIO(weights)) as archive:  # or it is none
        whole = sum(member.file_size for member in archive.infolist())
    if whole > LARGEST_GROWTH * len(weights):
        raise PriemoError(
            f"{described.file} would unpack from {len(weights):,} to {whole:,} bytes; weights "
            "do not pack so well, it is no weight file"
        )


def _unreadable(described: Description, fault: str, error: Exception) -> PriemoError:
    """The error to raise for a weight file; memory that ran out is no fault of the file."""
    if isinstance(error, MemoryError) or "allocate memory" in str(error):
        return PriemoError(f"memory ran out while {described.file} was read")
    return PriemoError(f"{described.file} {fault}: {_first_line(error)}")


def _pickled(described: Description, weights: bytes, error: Exception) -> PriemoError:
    """The error to raise for a file that holds more than tensors, with the way out of it."""
    refused = re.search(r"(?:GLOBAL|class|function) ([\w.]+)", str(error))
    holds = f" ({refused[1]})" if refused else ""
    key = _key_of_weights(weights)
    what = "more than weights" if key else "a whole network, not its state dict"
    state = f"[{key!r}]" if key else ".state_dict()"
    return PriemoError(
        f"{described.file} is a pickle that would run code when loaded ({what}{holds}), or is "
        "damaged; if you trust it and have its code, save its weights: "
        f"torch.save(torch.load({described.file.name!r}, weights_only=False){state}, "
        "'state.pth'), or use its ONNX form"
    )


def _key_of_weights(weights: bytes) -> str | None:
    """The key of the state dict in a checkpoint, found among its texts; nothing is unpickled."""
    with suppress(Exception):
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(weights)) as archive:
            weights = archive.read(next(n for n in archive.namelist() if n.endswith("data.pkl")))
        texts = {argument for _, argument, _ in pickletools.genops(weights)}
        return next(key for key in (WRAPPERS[0], WRAPPERS[1]) if key in texts)
    return None


def _unwrap(loaded: object, described: Description) -> State:
    """The state dict in what a training script saved."""
    while isinstance(loaded, Mapping):
        inner = next((loaded[k] for k in WRAPPERS if isinstance(loaded.get(k), Mapping)), None)
        if inner is None:
            break
        loaded = inner
    if not (isinstance(loaded, Mapping) and loaded) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in loaded.items()
    ):
        raise PriemoError(f"{described.file} does not hold a state dict (names to tensors)")
    return dict(loaded)


def _fill(net: nn.Module, state: State, described: Description) -> None:
    """Load the state dict, after a check that its names and shapes are those of the network."""
    own = net.state_dict()
    state = _renamed(state, own)
    counters = {key for key in own if key.endswith("num_batches_tracked")}
    missing = [key for key in own if key not in state and key not in counters]
    unexpected = [key for key in state if key not in own]
    if missing or unexpected:
        reasons = [f"lacks {_first_of(missing)}"] if missing else []
        reasons += [f"has {_first_of(unexpected)} that the network lacks"] if unexpected else []
        raise PriemoError(
            f"{described.file} is not a {described.format} {described.architecture}: "
            f"it {' and '.join(reasons)}"
        )
    for key, value in state.items():
        if value.shape != own[key].shape:
            raise PriemoError(
                f"{described.file} does not fit {described.format} {described.architecture} with "
                f"{described.channels} channels and {len(described.labels or ())} labels: {key} is "
                f"{tuple(value.shape)}, not {tuple(own[key].shape)}"
            )
    try:
        net.load_state_dict(state, strict=False)
    except Exception as error:  # of sparse, quantized and other unusual tensors
        raise _unreadable(described, "does not fit its network", error) from None


def _renamed(state: State, own: State) -> State:
    """The state dict by the network's names: prefixes off, `classifier.0.weight` without the 0."""
    while not own.keys() & state.keys():
        prefix = next((p for p in PREFIXES if all(key.startswith(p) for key in state)), None)
        if prefix is None:
            break
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    for key in [k for k in state if k not in own]:  # a classifier kept as nn.Sequential(Linear)
        parent, _, last = key.rpartition(".0.")
        if parent and f"{parent}.{last}" in own:
            state[f"{parent}.{last}"] = state.pop(key)
    return state


def _first_of(keys: list[str]) -> str:
    more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
    return f"{keys[0]!r}{more}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
