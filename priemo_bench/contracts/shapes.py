"""The shape of facts read from JSON, and the words for what departs from it.

pydantic would do, but takes longer to import than a table to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Shape: TypeAlias = Any
"""`str`, `int` or `float` (a finite or infinite number, or NaN) for values; a text for itself; None
for null; a tuple for one of several shapes; [shape] for a list; {"name": shape} for an object with
this name ("name?" where it may be absent), {str: shape} for one of any further names."""
NUMBER: Shape = (float, None)


def fault(value: object, shape: Shape, name: str = "") -> str | None:
    """What is wrong with a value, as "has no fact 'a.b'"; None where nothing is.

    Example:
        >>> fault({"a": {"b": [1, "2"]}}, {"a": {"b": [int]}})
        "has a wrong value of the fact 'a.b[1]'"
        >>> fault({}, {"a": str, "c?": int})
        "has no fact 'a'"
    """
    if isinstance(shape, tuple):
        faults = [fault(value, one, name) for one in shape]
        return None if None in faults else _first_deep(faults, name)
    if isinstance(shape, dict) and isinstance(value, dict):
        return _object_fault(value, shape, name)
    if isinstance(shape, list) and isinstance(value, list):
        found = (fault(item, shape[0], f"{name}[{k}]") for k, item in enumerate(value))
        return next((f for f in found if f), None)
    return None if _fits(value, shape) else _wrong(name)


def _object_fault(value: Mapping[Any, object], shape: Mapping[Any, Shape], name: str) -> str | None:
    prefix = f"{name}." if name else ""
    named = {str(key).removesuffix("?"): of for key, of in shape.items() if key is not str}
    for key in shape:
        if key is not str and not key.endswith("?") and key not in value:
            return f"has no fact {prefix + key!r}"
    for key, item in value.items():
        of = named.get(key, shape.get(str))
        if not _is_text(key):
            return _wrong(name)
        if of is not None and (found := fault(item, of, prefix + key)):
            return found
    return None


def _first_deep(faults: list[str | None], name: str) -> str:
    """Of the faults by each of several shapes, one that is not just about the whole value."""
    return next((f for f in faults if f and f != _wrong(name)), _wrong(name))


def _wrong(name: str) -> str:
    return f"has a wrong value of the fact {name!r}" if name else "has no facts"


def _fits(value: object, shape: Shape) -> bool:
    if shape is str:
        return _is_text(value)
    if shape is int:
        return _is_whole(value)
    if shape is float:
        return isinstance(value, float) or _is_whole(value)
    if shape is None:
        return value is None
    return isinstance(shape, str) and value == shape


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _is_text(value: object) -> bool:
    """A text that can be written as UTF-8: JSON may hold half of a surrogate pair."""
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)
