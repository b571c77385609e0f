"""Keras models, .keras and .h5, as networks: by Keras 3 on torch, so that gradients flow.

No code of the file runs: what a model file may hold beyond layers of Keras (Lambda layers, modules
to import, links to other files) is refused before Keras sees it.
"""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from priemo_bench.contracts.probe import reason
from priemo_bench.errors import PriemoError
from priemo_bench.victims.custom.description import Description, file_bytes
from priemo_bench.victims.custom.keras_checks import (
    LARGEST_GROWTH,
    SPARE,
    check_config,
    check_hdf5,
    input_shape,
)

if TYPE_CHECKING:
    from h5py import File

MEMBERS = ("config.json", "metadata.json", "model.weights.h5")
"""What is in a .keras file."""
GROWTH = 4
"""Parameters of a network for each byte of its weight file, at most."""


class KerasNetwork(nn.Module):
    """A Keras model in inference, on the device of its input."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> KerasNetwork:
        """Also tell Keras, which casts its input to the dtype that its layers are declared with."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        floats = (p.dtype for p in self.parameters() if p.is_floating_point())
        dtype = str(next(floats, torch.float32))
        for layer in self.model._flatten_layers():
            layer.dtype_policy = dtype.removeprefix("torch.")
            graph = getattr(layer, "_functional", layer)  # of a model
            for entry in getattr(graph, "_inputs", None) or ():
                entry._dtype = dtype.removeprefix("torch.")
        return self

    def forward(self, x: Tensor) -> Any:
        """What the model gives for (n, height, width, channels)."""
        import keras

        with keras.device(str(x.device)):
            return self.model(x, training=False)


def facts(found: Description) -> dict[str, Any]:
    """Size, channels and layout of the model's input; nothing is built.

    Raises:
        PriemoError: the file is not of Keras, holds weights alone without their architecture, or
            more than layers of Keras.
    """
    shape = input_shape(_config(found))
    known: dict[str, Any] = {"layout": "nhwc"}
    if shape and len(shape) == 4:
        if shape[1] in (1, 3) and shape[3] not in (1, 3):
            known["layout"], shape = "nchw", [shape[0], shape[2], shape[3], shape[1]]
        known |= {"size": shape[1]} if shape[1] and shape[1] == shape[2] else {}
        known |= {"channels": shape[3]} if shape[3] in (1, 3) else {}
    return known


def network(described: Description) -> nn.Module:
    """The model with its weights.

    Raises:
        PriemoError: as for `facts`; the extra is not installed; or Keras cannot make the model.
    """
    keras = _keras()
    config = _config(described)
    try:
        with keras.device("meta"):
            wanted = _made(config).count_params()
        if wanted > GROWTH * described.file.stat().st_size:
            raise PriemoError(
                f"{described.file} has {described.file.stat().st_size:,} bytes; the network that "
                f"its architecture describes has {wanted:,} parameters"
            )
        with keras.device("cpu"):
            if described.file.suffix == ".keras":
                model = keras.saving.load_model(described.file, compile=False, safe_mode=True)
            else:
                model = _made(config)
                model.load_weights(described.file)
    except PriemoError:
        raise
    except Exception as error:  # of Keras, of any kind
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise PriemoError(f"Keras cannot read {described.file}: {lines[0][:300]}") from error
    return KerasNetwork(model)


def _made(config: dict[str, Any]) -> Any:
    """The model of a config, without its weights; also of one that Keras 1 or 2 wrote."""
    import keras

    if "module" in config:
        return keras.models.model_from_json(json.dumps(config))
    from keras.src.legacy.saving import saving_options, saving_utils
    from keras.src.saving.serialization_lib import SafeModeScope

    with saving_options.keras_option_scope(use_legacy_config=True), SafeModeScope(True):
        return saving_utils.model_from_config(_of_keras_2(config))


def _of_keras_2(config: dict[str, Any]) -> dict[str, Any]:
    """A config of Keras 1 or 2, its input as a layer of its own: Keras 3 mistakes its shape."""
    inner = config.get("config")
    if config.get("class_name") != "Sequential":
        return config
    named = (
        {"name": "sequential", "layers": inner} if isinstance(inner, list) else dict(inner or {})
    )
    layers = [_of_keras_2(layer) for layer in named.get("layers", [])]
    first = dict(layers[0].get("config") or {}) if layers else {}
    if (shape := first.pop("batch_input_shape", None)) and layers[0]["class_name"] != "InputLayer":
        entry = {"class_name": "InputLayer", "config": {"batch_shape": shape, "name": "input"}}
        layers = [entry, {**layers[0], "config": first}, *layers[1:]]
    return {**config, "config": {**named, "layers": layers}}


def _keras() -> Any:
    """Keras on torch; PriemoError where it is not installed, or runs on something else already."""
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "torch"
    try:
        import keras
    except ImportError:
        raise PriemoError(
            'format "keras" needs an extra: pip install "priemo-bench[models]"'
        ) from (None)
    if getattr(keras, "__version__", "2") < "3" or keras.backend.backend() != "torch":
        raise PriemoError(
            'format "keras" needs Keras 3 on torch, and it is imported already on something else; '
            "set KERAS_BACKEND=torch before that"
        )
    return keras


def _config(found: Description) -> dict[str, Any]:
    """The checked architecture of a model, as JSON holds it."""
    if found.architecture:
        text: Any = file_bytes(Path(found.architecture))
        with _opened(found) as file:
            check_hdf5(file, found)
    elif found.file.suffix == ".keras":
        text = _unzipped(found)
    elif found.file.suffix in (".h5", ".hdf5"):
        with _opened(found) as file:
            check_hdf5(file, found)
            text = _written_config(file, found)
        if text is None:
            raise PriemoError(
                f"{found.file} has weights alone, not their architecture; write it from its code, "
                "open('model.json', 'w').write(model.to_json()), and give architecture = "
                '"model.json"'
            )
    else:
        raise PriemoError(f"{found.file} must be a .keras, .h5 or .hdf5 file of Keras")
    try:
        config = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise PriemoError(f"{found.file} is no model of Keras: {reason(error)}") from None
    if not isinstance(config, dict):
        raise PriemoError(f"{found.file} is no model of Keras")
    check_config(config, found)
    return config


def _written_config(file: File, found: Description) -> Any:
    """The architecture that a .h5 file has beside its weights, or None."""
    try:
        return file.attrs.get("model_config")
    except Exception as error:  # of libhdf5, of any kind
        raise PriemoError(f"{found.file} is damaged: {reason(error)}") from None


def _opened(found: Description) -> File:
    try:
        import h5py
    except ImportError:
        raise PriemoError(
            'format "keras" needs an extra: pip install "priemo-bench[models]"'
        ) from (None)
    try:
        return h5py.File(found.file, "r")
    except Exception as error:  # of libhdf5, of any kind
        raise PriemoError(f"{found.file} is not HDF5, or is damaged: {reason(error)}") from None


def _unzipped(found: Description) -> bytes:
    """config.json of a .keras file, after a check of all that is in it."""
    import h5py

    try:
        with zipfile.ZipFile(found.file) as archive:
            members = archive.infolist()
            odd = [m.filename for m in members if m.filename not in MEMBERS]
            if odd or len(members) != len({m.filename for m in members}):
                raise PriemoError(
                    f"{found.file} holds {odd[0] if odd else 'a file twice'!r}; a model of layers "
                    f"of Keras holds {', '.join(MEMBERS)} alone"
                )
            whole = sum(m.file_size for m in members)
            if whole > LARGEST_GROWTH * found.file.stat().st_size + SPARE:
                raise PriemoError(f"{found.file} would unpack to {whole:,} bytes; weights do not")
            with h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as file:
                check_hdf5(file, found)
            return archive.read("config.json")
    except PriemoError:
        raise
    except Exception as error:  # whatever a damaged file makes zipfile and libhdf5 raise
        raise PriemoError(f"{found.file} is no .keras file, or is damaged: {reason(error)}") from (
            None
        )
