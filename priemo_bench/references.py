"""Things by where they are: `module:Thing` and `file.py:Thing`, imported."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from priemo_bench.errors import PriemoError, unknown


def is_reference(text: str) -> bool:
    """Whether `text` names a thing by where it is, and not by a name."""
    return text.endswith(".toml") or ":" in text


def named_reference(text: str) -> tuple[str, str]:
    """Name and reference of [NAME=]REFERENCE; without a name, that of what it refers to."""
    alias = re.fullmatch(r"([^=:/\\]+)=(.+)", text)
    if alias and is_reference(alias[2]):
        return alias[1], alias[2]
    place, _, thing = text.rpartition(":")
    is_path = "/" in thing or "\\" in thing or os.path.exists(thing)
    if not place or is_path or text.endswith(".toml"):
        return Path(thing).stem, text
    return thing.rpartition(".")[2], text


def imported(kind: str, text: str) -> Any:
    """The thing that "module:Thing" or "file.py:Thing" names, as it is.

    Raises:
        PriemoError: there is none, or its module cannot be imported.
    """
    which = f"{kind.removesuffix('s')} {text!r}"
    place, _, path = text.rpartition(":")
    if not place or not path:
        raise PriemoError(f"{which} must be module:Thing or file.py:Thing")
    module = importing(which, lambda: _module(place))
    thing: Any = module
    for part in path.split("."):
        if not hasattr(thing, part):
            known = [name for name in vars(module) if not name.startswith("_")]
            raise PriemoError(f"{which}: {unknown('things', path, known)}")
        thing = getattr(thing, part)
    return thing


def _module(place: str) -> ModuleType:
    if not place.endswith(".py"):
        return import_module(place)
    path = Path(place).resolve()
    return module_of_file(path, path.stat().st_mtime_ns)


_FILES: dict[Path, ModuleType] = {}
_RELOADS: list[Path] = []


def reloads() -> int:
    """How often a file was imported again because it had changed."""
    return len(_RELOADS)


def is_of_file(module: str) -> bool:
    """Whether a module came from a reference file.py:Thing."""
    return any(found.__name__ == module for found in _FILES.values())


@cache
def module_of_file(path: Path, changed: int) -> ModuleType:
    """The module of a file, under its stem where that is free; its folder can be imported from."""
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    if path in _FILES:
        _RELOADS.append(path)
        name = _FILES[path].__name__
    else:
        spec = None if path.stem in sys.modules else find_spec(path.stem)
        own = path.stem if spec is not None and spec.origin == str(path) else ""
        name = own or f"{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    _FILES[path] = module
    return module


def importing(which: str, load: Callable[[], Any]) -> Any:
    """What `load` imports; PriemoError that names `which` for whatever it raises."""
    try:
        return load()
    except PriemoError:
        raise
    except (Exception, SystemExit) as error:  # any that a module may raise when it is imported
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise PriemoError(f"{which} cannot be imported: {reason}") from error
