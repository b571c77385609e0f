"""Names to things: attacks, victims, datasets, defenses and metrics are found by entry points.

The plugins that come with the project enter through the same door as anyone's: an entry point in
one of the groups `priemo_bench.attacks`, `.victims`, `.datasets`, `.defenses`, `.metrics`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from priemo_bench.errors import PriemoError

GROUPS = ("attacks", "victims", "datasets", "defenses", "metrics")


def unknown(kind: str, name: str, known: Iterable[str]) -> PriemoError:
    """The error for a name that is not in `known`, with the nearest ones that are."""
    known = sorted(known)
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known) or 'none'}"
    return PriemoError(f"no {kind.removesuffix('s')} is called {name!r}; {hint}")


@cache
def _found(kind: str) -> tuple[EntryPoint, ...]:
    if kind not in GROUPS:
        raise unknown("kinds", kind, GROUPS)
    return tuple(entry_points(group=f"priemo_bench.{kind}"))


@cache
def _points(kind: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in _found(kind)}


def names(kind: str) -> list[str]:
    """Names in one of GROUPS, sorted; nothing is imported."""
    return sorted(_points(kind))


@cache
def _loaders() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group="priemo_bench.loaders")}


def check(kind: str, name: str) -> None:
    """PriemoError unless `get` knows `name`; it names the nearest for a typo."""
    points = _points(kind)
    if name in points:
        return
    if not (name.endswith(".toml") and kind in _loaders()):
        raise unknown(kind, name, points)
    if not os.path.isfile(name):  # unlike Path.is_file, it takes names of any length
        raise PriemoError(f"{kind.removesuffix('s')} file {name} does not exist")


def get(kind: str, name: str) -> Any:
    """What the entry point `name` of `kind` points at, or what a loader makes of a TOML file.

    Raises:
        PriemoError: no such name or file; two packages have one of that name; or what it points at
            cannot be imported, or is not what its kind needs.
    """
    check(kind, name)
    points = _points(kind)
    if name not in points:
        return _loaders()[kind].load()(Path(name))
    rivals = {p.value: _package(p) for p in _found(kind) if p.name == name}
    if len(rivals) > 1:
        raise PriemoError(
            f"{kind.removesuffix('s')} {name!r} is in {' and in '.join(rivals.values())}; "
            "uninstall one of them"
        )
    return _load(points[name], kind)


def _load(point: EntryPoint, kind: str) -> Any:
    which = f"{kind.removesuffix('s')} {point.name!r} of {_package(point)}"
    try:
        thing = point.load()
    except PriemoError:
        raise
    except (Exception, SystemExit) as error:  # any that a module may raise when it is imported
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise PriemoError(f"{which} cannot be imported: {reason}") from error
    if not callable(thing):
        raise PriemoError(f"{which} is a {type(thing).__name__}; it must be callable")
    if kind == "attacks" and not hasattr(getattr(thing, "traits", None), "family"):
        raise PriemoError(f"{which} has no `traits` of priemo_bench.contracts.attack.Traits")
    return thing


def _package(point: EntryPoint) -> str:
    """The distribution of an entry point, in words."""
    dist = getattr(point, "dist", None)
    return f"package {dist.name} {dist.version}" if dist is not None else "no package"
