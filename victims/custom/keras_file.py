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
from collections.abc import Iterator
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from priemo_bench.contracts.probe import reason
from priemo_bench.errors import PriemoError
from priemo_bench.victims.custom.description import Description, file_bytes

if TYPE_CHECKING:
    from h5py import File, Group

RUNS_CODE = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "StringLookup",
             "IntegerLookup", "TextVectorization", "Hashing")  # fmt: skip
"""Layers that run code of the file, or read other files."""
MEMBERS = ("config.json", "metadata.json", "model.weights.h5")
"""What is in a .keras file."""
LARGEST_GROWTH, SPARE = 20, 2**20
"""Times its size that a packed file may unpack to, and bytes beyond."""
MOST = 10_000_000
"""Largest plausible whole number in a config: of units, filters or pixels."""
GROWTH = 4
"""Parameters of a network for each byte of its weight file, at most."""
FREE = ("seed", "shared_object_id")
"""Whole numbers of a config that may be of any size."""


class KerasNetwork(nn.Module):
    """A Keras model in inference, on the device of its input."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

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
    shape = _input_shape(_config(found))
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
            _check_hdf5(file, found)
    elif found.file.suffix == ".keras":
        text = _unzipped(found)
    elif found.file.suffix in (".h5", ".hdf5"):
        with _opened(found) as file:
            _check_hdf5(file, found)
            text = file.attrs.get("model_config")
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
    _check_config(config, found)
    return config


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
                _check_hdf5(file, found)
            return archive.read("config.json")
    except PriemoError:
        raise
    except Exception as error:  # whatever a damaged file makes zipfile and libhdf5 raise
        raise PriemoError(f"{found.file} is no .keras file, or is damaged: {reason(error)}") from (
            None
        )


def _check_hdf5(file: File, found: Description) -> None:
    """PriemoError for links to other files, and for arrays that the file does not hold."""
    whole = 0
    try:
        for place, link, item in _items(file):
            if link not in ("HardLink", ""):
                raise PriemoError(f"{found.file} has a link at {place!r}; a model file has none")
            if not hasattr(item, "nbytes"):
                continue
            if item.external or item.is_virtual:
                raise PriemoError(f"{found.file} keeps {place!r} in another file")
            whole += item.nbytes
    except PriemoError:
        raise
    except Exception as error:  # of libhdf5, of any kind
        raise PriemoError(f"{found.file} is damaged: {reason(error)}") from None
    if whole > LARGEST_GROWTH * found.file.stat().st_size + SPARE:
        raise PriemoError(
            f"{found.file} claims {whole:,} bytes of weights, and does not hold them; it is damaged"
        )


def _items(group: Group, place: str = "", depth: int = 0) -> Iterator[tuple[str, str, Any]]:
    """Place, kind of link and item of all in a group; other than hard links are not followed."""
    if depth > 50:
        raise PriemoError(f"{place!r} is nested too deeply")
    for name in group:
        link = type(group.get(name, getlink=True)).__name__
        item = group[name] if link == "HardLink" else None
        yield f"{place}/{name}", link, item
        if item is not None and hasattr(item, "keys"):
            yield from _items(item, f"{place}/{name}", depth + 1)


def _check_config(config: dict[str, Any], found: Description) -> None:
    """PriemoError for what is no layer of Keras, or runs code, or fits no memory."""
    for node in _nodes(config):
        name, module = node.get("class_name"), node.get("module")
        if isinstance(name, str) and (name in RUNS_CODE or name.startswith("__lambda")):
            raise PriemoError(
                f"{found.file} has a {name} layer, which runs code of the file or reads other "
                "files; take it out of the model"
            )
        if module is not None and str(module).split(".")[0] != "keras":
            raise PriemoError(
                f"{found.file} imports {module!r} for its {name!r}; only layers of Keras are read"
            )
        for key, value in node.items():
            sizes = value if isinstance(value, list) else [value]
            if any(isinstance(v, int) and abs(v) > MOST and key not in FREE for v in sizes):
                raise PriemoError(f"{found.file}: {key} is {value}, which fits no weights")


def _nodes(config: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    if depth > 100:
        raise PriemoError("its config is nested too deeply")
    if isinstance(config, dict):
        yield config
    inner = config.values() if isinstance(config, dict) else config
    for value in inner if isinstance(config, dict | list) else ():
        yield from _nodes(value, depth + 1)


def _input_shape(config: dict[str, Any]) -> list[int | None] | None:
    """The batch shape of the input, where the config has it."""
    for node in _nodes(config):
        for key in ("batch_input_shape", "batch_shape", "build_input_shape"):
            shape = node.get(key)
            if isinstance(shape, list) and len(shape) == 4:
                with suppress(TypeError):
                    if prod(s or 1 for s in shape) > 0:
                        return shape
    return None
