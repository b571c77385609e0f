"""What a model file of Keras may hold: layers of Keras, and the weights that it says it has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from math import prod
from typing import TYPE_CHECKING, Any

from priemo_bench.contracts.probe import reason
from priemo_bench.errors import PriemoError
from priemo_bench.victims.custom.description import Description

if TYPE_CHECKING:
    from h5py import File, Group

RUNS_CODE = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "StringLookup",
             "IntegerLookup", "TextVectorization", "Hashing")  # fmt: skip
"""Layers that run code of the file, or read other files."""
LARGEST_GROWTH, SPARE = 20, 2**20
"""Times its size that a packed file may unpack to, and bytes beyond."""
MOST = 10_000_000
"""Largest plausible whole number in a config: of units, filters or pixels."""
FREE = ("seed", "shared_object_id")
"""Whole numbers of a config that may be of any size."""


def check_hdf5(file: File, found: Description) -> None:
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


def check_config(config: dict[str, Any], found: Description) -> None:
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


def input_shape(config: dict[str, Any]) -> list[int | None] | None:
    """The batch shape of the input, where the config has it."""
    for node in _nodes(config):
        for key in ("batch_input_shape", "batch_shape", "build_input_shape"):
            shape = node.get(key)
            if isinstance(shape, list) and len(shape) == 4:
                with suppress(TypeError):
                    if prod(s or 1 for s in shape) > 0:
                        return shape
    return None
