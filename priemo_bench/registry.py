"""Names to things: attacks, victims, datasets, defenses and metrics are found by entry points.

The plugins that come with the project enter through the same door as anyone's: an entry point in
one of the groups `priemo_bench.attacks`, `.victims`, `.datasets`, `.defenses`, `.metrics`.
"""

from __future__ import annotations

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
def _points(kind: str) -> dict[str, EntryPoint]:
    if kind not in GROUPS:
        raise unknown("kinds", kind, GROUPS)
    return {point.name: point for point in entry_points(group=f"priemo_bench.{kind}")}


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
    if not Path(name).is_file():
        raise PriemoError(f"{kind.removesuffix('s')} file {name} does not exist")


def get(kind: str, name: str) -> Any:
    """What the entry point `name` of `kind` points at, or what a loader makes of a TOML file.

    Raises:
        PriemoError: no such name or file.
    """
    check(kind, name)
    points = _points(kind)
    return points[name].load() if name in points else _loaders()[kind].load()(Path(name))
