"""Names to things: attacks, victims, datasets, defenses and metrics.

A name is that of an entry point in one of the groups `priemo_bench.attacks`, `.victims`,
`.datasets`, `.defenses`, `.metrics` (the plug-ins of the project enter through the same door as
anyone's), one that was registered in this process, or a reference:

    module:Thing, file.py:Thing     an object of a module
    art:DeepFool                    what a loader makes of the part behind its prefix
    mine.toml                       what a loader makes of a file

`NAME=REFERENCE` gives a reference a name of its own.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar

from priemo_bench.errors import PriemoError
from priemo_bench.errors import unknown as unknown
from priemo_bench.references import imported, importing, is_reference, named_reference

GROUPS = ("attacks", "victims", "datasets", "defenses", "metrics")
_OWN: dict[tuple[str, str], Any] = {}
"""What was registered in this process, by kind and name: things, and references as text."""
T = TypeVar("T")


@cache
def _found(kind: str) -> tuple[EntryPoint, ...]:
    if kind not in GROUPS:
        raise unknown("kinds", kind, GROUPS)
    return tuple(entry_points(group=f"priemo_bench.{kind}"))


@cache
def _points(kind: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in _found(kind)}


@cache
def _loaders() -> dict[str, EntryPoint]:
    """By KIND.toml, KIND.PREFIX of references, and KIND.object for things as they are."""
    return {point.name: point for point in entry_points(group="priemo_bench.loaders")}


def names(kind: str) -> list[str]:
    """Names of one of GROUPS, sorted: entry points and what was registered; nothing is imported."""
    return sorted({*_points(kind), *(name for own, name in _OWN if own == kind)})


def register(kind: str, name: str) -> Callable[[T], T]:
    """Decorator that gives an attack, victim, defense or metric a name in this process.

    Raises:
        PriemoError: a name that an entry point has, or that no name can be.

    Example:
        >>> from priemo_bench import registry
        >>> @registry.register("defenses", "upside-down")
        ... def upside_down(images):
        ...     return images[:, :, ::-1]
        >>> "upside-down" in registry.names("defenses")
        True
    """

    def decorate(thing: T) -> T:
        _register(kind, name, thing)
        return thing

    return decorate


def check_name(kind: str, name: str) -> None:
    """PriemoError for a name that an entry point has, or that no name can be."""
    if name in _points(kind):
        raise PriemoError(
            f"{_one(kind)} {name!r} is there already, in {_package(_points(kind)[name])}; "
            "give yours another name"
        )
    if not re.fullmatch(r"[^\s+,=:/\\]{1,100}", name) or not name.isprintable():
        raise PriemoError(
            f"{_one(kind)} {name!r} cannot be called so: a name has 1 to 100 characters, no "
            "blank and none of + , = : / and backslash; give it another as NAME=REFERENCE"
        )


def _register(kind: str, name: str, thing: Any) -> None:
    check_name(kind, name)
    before = _OWN.get((kind, name), thing)
    if isinstance(thing, str) and isinstance(before, str) and before != thing:
        raise PriemoError(
            f"{before} and {thing} would both be {_one(kind)} {name!r}; name one of them "
            "otherwise, as NAME=REFERENCE"
        )
    _OWN[kind, name] = thing


def adopt(kind: str, item: Any) -> str:
    """The name of `item`: a name as it is; a reference or a thing is registered first.

    Args:
        item: a name, a reference, NAME=REFERENCE, a pair (name, thing), or a thing, which is called
            as its class or function is.

    Raises:
        PriemoError: as for `register`; or a thing that has no name, such as a lambda.
    """
    if isinstance(item, str):
        name, reference = named_reference(item)
        if item in _points(kind) or not is_reference(reference):
            return item
        check(kind, reference)
        _register(kind, name, reference)
        return name
    if isinstance(item, tuple) and len(item) == 2:
        name, thing = item
        if isinstance(thing, str):
            return adopt(kind, thing if thing == name else f"{name}={thing}")
    else:
        thing, name = item, getattr(item, "__name__", type(item).__name__)
        if name == "<lambda>":
            raise PriemoError(f"{_one(kind)} is a lambda; give it a name, as {{'name': lambda}}")
    _register(kind, str(name), thing)
    return str(name)


def adopt_all(kind: str, items: Any) -> tuple[str, ...]:
    """Names of several: a mapping of names to things, or an iterable as for `adopt`.

    Raises:
        PriemoError: as for `adopt`; one text in place of several; or two of one name.
    """
    if isinstance(items, str):
        raise PriemoError(f"{kind} is {items!r}; it must be several, such as ({items!r},)")
    if not isinstance(items, Iterable):
        raise PriemoError(f"{kind} is one {type(items).__name__}; it must be several, as a list")
    pairs = list(items.items()) if isinstance(items, Mapping) else list(items)
    found = tuple(adopt(kind, pair) for pair in pairs)
    own = [name for name, pair in zip(found, pairs, strict=True) if not isinstance(pair, str)]
    for name, count in Counter(own).items():
        if count > 1:
            raise PriemoError(
                f"two {kind} are called {name!r}; give them names, as {{'name': thing}}"
            )
    return found


def reference(kind: str, name: str) -> str | None:
    """The reference behind a registered name, if there is one."""
    own = _OWN.get((kind, name))
    return own if isinstance(own, str) else None


def is_black_box(victim: str) -> bool:
    """Whether a victim can only be judged, as a function that predicts: no surrogate of anyone.

    Raises:
        PriemoError: as for `get`, where the victim is a reference.
    """
    own = _OWN.get(("victims", victim), victim)
    if isinstance(own, str):
        return is_reference(own) and bool(getattr(get("victims", own), "judged_only", False))
    if not getattr(own, "differentiable", True):
        return True
    return callable(own) and not isinstance(own, type) and not hasattr(own, "forward")


def registered() -> dict[tuple[str, str], Any]:
    """What was registered by kind and name, for `receive` in another process."""
    return dict(_OWN)


def receive(things: Mapping[tuple[str, str], Any]) -> None:
    """Register what another process has."""
    _OWN.update(things)


def check(kind: str, name: str) -> None:
    """PriemoError unless `get` may know `name`; it names the nearest for a typo."""
    points = _points(kind)
    if name in points or (kind, name) in _OWN:
        return
    if not is_reference(name) or (name.endswith(".toml") and f"{kind}.toml" not in _loaders()):
        raise unknown(kind, name, names(kind))
    file = name if name.endswith(".toml") else name.rpartition(":")[0]
    if file.endswith((".toml", ".py")) and not os.path.isfile(file):  # takes names of any length
        raise PriemoError(f"{_one(kind)} file {file} does not exist")


def get(kind: str, name: str) -> Any:
    """What an entry point of `kind`, a registered name or a reference stands for.

    Raises:
        PriemoError: no such name or file; two packages have one of that name; or what it points at
            cannot be imported, or is not what its kind needs.
    """
    check(kind, name)
    if (kind, name) in _OWN:
        own = _OWN[kind, name]
        which = f"{_one(kind)} {name!r}"
        return _of_reference(kind, own) if isinstance(own, str) else _adapted(kind, own, which)
    if name not in _points(kind):
        return _of_reference(kind, name)
    rivals = {p.value: _package(p) for p in _found(kind) if p.name == name}
    if len(rivals) > 1:
        raise PriemoError(
            f"{_one(kind)} {name!r} is in {' and in '.join(rivals.values())}; uninstall one of them"
        )
    point = _points(kind)[name]
    which = f"{_one(kind)} {name!r} of {_package(point)}"
    thing = importing(which, point.load)
    if not callable(thing):
        raise PriemoError(f"{which} is a {type(thing).__name__}; it must be callable")
    if kind == "attacks" and not hasattr(getattr(thing, "traits", None), "family"):
        return _adapted(kind, thing, which)
    return thing


def _of_reference(kind: str, text: str) -> Any:
    if text.endswith(".toml"):
        return _loaders()[f"{kind}.toml"].load()(Path(text))
    which = f"{_one(kind)} {text!r}"
    if f"{kind}.{text.partition(':')[0]}" in _loaders():
        prefix, _, rest = text.partition(":")
        return _loaders()[f"{kind}.{prefix}"].load()(rest)
    return _adapted(kind, imported(kind, text), which)


def _adapted(kind: str, thing: Any, which: str) -> Any:
    """A thing as its kind is used, such as a plain function as an attack."""
    loader = _loaders().get(f"{kind}.object")
    return loader.load()(thing, which) if loader else thing


def _one(kind: str) -> str:
    return kind.removesuffix("s")


def _package(point: EntryPoint) -> str:
    """The distribution of an entry point, in words."""
    dist = getattr(point, "dist", None)
    return f"package {dist.name} {dist.version}" if dist is not None else "no package"
