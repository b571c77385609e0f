"""From a weight file to the network, format by format; nothing is unpickled."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from typing import Any

import timm
import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from priemo_bench.errors import PriemoError
from priemo_bench.registry import unknown
from priemo_bench.victims.custom.description import Description

State = dict[str, Tensor]
WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
"""Keys under which training scripts keep the state dict beside optimizer and epoch."""
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
"""Of nn.DataParallel, torch.compile, and of modules around the network."""
PRETRAINED = ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path",
              "weights", "weights_backbone", "num_classes", "in_chans", "cache_dir")  # fmt: skip
"""Constructor arguments that would fetch or read other weights, or that the TOML gives already."""


def network(found: Description, weights: bytes) -> nn.Module:
    """The network in float32 with the weights, as the file has it.

    Raises:
        PriemoError: a file that is not of its format or does not fit its network.
    """
    if found.format == "torchscript":
        return _torchscript(found, weights)
    if found.format == "onnx":
        from priemo_bench.victims.custom.onnx_file import converted

        return converted(found, weights)
    net = _empty(found)
    _fill(net, _state(found, weights), found)
    return net


def _torchscript(found: Description, weights: bytes) -> nn.Module:
    try:
        net: nn.Module = torch.jit.load(io.BytesIO(weights), map_location="cpu")
    except (RuntimeError, ValueError) as error:
        raise PriemoError(
            f"{found.file} is not TorchScript, or is damaged: {_first_line(error)}"
        ) from None
    return Contiguous(net.float())


class Contiguous(nn.Module):
    """A traced network whose `view`s were recorded on contiguous tensors: its weights stay so."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def _apply(self, fn: Any, recurse: bool = True) -> Contiguous:
        super()._apply(fn, recurse)
        for tensor in (*self.parameters(), *self.buffers()):
            tensor.data = tensor.data.contiguous()
        return self

    def forward(self, x: Tensor) -> Any:
        return self.net(x.contiguous())


def _empty(found: Description) -> nn.Module:
    """The network of a state dict with torch's own initialisation; nothing is fetched."""
    name, many = str(found.architecture), len(found.labels)
    if taken := set(found.options) & set(PRETRAINED):
        raise PriemoError(f"options of {found.name!r} may not have {sorted(taken)[0]!r}")
    try:
        if found.format == "timm":
            if not timm.is_model(name):
                raise unknown("timm networks", name, timm.list_models())
            net: nn.Module = timm.create_model(
                name, num_classes=many, in_chans=found.channels, **found.options
            )
            return net
        known = torchvision.models.list_models(module=torchvision.models)
        if name not in known:
            raise unknown("torchvision networks", name, known)
        if found.channels != 3:
            raise PriemoError("networks of torchvision read 3 channels; channels must be 3")
        made: nn.Module = torchvision.models.get_model(
            name, weights=None, num_classes=many, **found.options
        )
        return made
    except (TypeError, RuntimeError, AssertionError) as error:
        raise PriemoError(
            f"{found.format} cannot make {name!r} with options {found.options}: "
            f"{_first_line(error)}"
        ) from None


def _state(found: Description, weights: bytes) -> State:
    """The tensors of a safetensors or .pth file, without what training scripts wrap them in."""
    if found.file.suffix == ".safetensors":
        try:
            return _bare(load_safetensors(weights), found)
        except SafetensorError as error:
            raise PriemoError(f"{found.file} is not safetensors, or is damaged: {error}") from None
    try:
        loaded = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise PriemoError(
            f"{found.file} is a pickle that would run code when opened (a whole network, not its "
            "state dict), or is damaged; where you trust it and have its code, write its numbers: "
            f"torch.save(torch.load({found.file.name!r}, weights_only=False).state_dict(), "
            "'state.pth'), or use its ONNX form"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        if "TorchScript" in str(error):
            raise PriemoError(f'{found.file} is TorchScript; give format = "torchscript"') from None
        raise PriemoError(f"{found.file} is damaged: {_first_line(error)}") from None
    return _bare(loaded, found)


def _bare(loaded: object, found: Description) -> State:
    while isinstance(loaded, Mapping):
        inner = next((loaded[k] for k in WRAPPERS if isinstance(loaded.get(k), Mapping)), None)
        if inner is None:
            break
        loaded = inner
    if not (isinstance(loaded, Mapping) and loaded) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in loaded.items()
    ):
        raise PriemoError(f"{found.file} holds no state dict (names to tensors)")
    return dict(loaded)


def _fill(net: nn.Module, state: State, found: Description) -> None:
    """Copy all weights in, or none: names and shapes must be the network's own."""
    wanted = net.state_dict()
    while not wanted.keys() & state.keys():
        prefix = next((p for p in PREFIXES if all(key.startswith(p) for key in state)), None)
        if prefix is None:
            break
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    for key in [k for k in state if k not in wanted]:  # a classifier kept as nn.Sequential(Linear)
        parent, _, last = key.rpartition(".0.")
        if parent and f"{parent}.{last}" in wanted:
            state[f"{parent}.{last}"] = state.pop(key)
    counters = {key for key in wanted if key.endswith("num_batches_tracked")}
    missing = [key for key in wanted if key not in state and key not in counters]
    unexpected = [key for key in state if key not in wanted]
    if missing or unexpected:
        said = [f"lacks {_some(missing)}"] * bool(missing)
        said += [f"has {_some(unexpected)} that the network has not"] * bool(unexpected)
        raise PriemoError(
            f"{found.file} is not a {found.format} {found.architecture}: it {' and '.join(said)}"
        )
    for key, value in state.items():
        if value.shape != wanted[key].shape:
            raise PriemoError(
                f"{found.file} does not fit {found.format} {found.architecture} with "
                f"{found.channels} channels and {len(found.labels)} labels: {key} is "
                f"{tuple(value.shape)}, not {tuple(wanted[key].shape)}"
            )
    net.load_state_dict(state, strict=False)


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
    return f"{keys[0]!r}{more}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
