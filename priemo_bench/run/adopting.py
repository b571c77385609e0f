"""References in a spec, such as "mine.py:Shift", get names; the spec keeps what is behind them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from priemo_bench.registry import GROUPS, adopt, adopt_all, reference, unknown

NAMED = {
    "victims": "victims",
    "surrogates": "victims",
    "defenses": "defenses",
    "metrics": "metrics",
}
"""Kinds of what keys of a spec name."""


def adopted(values: dict[str, Any]) -> dict[str, Any]:
    """`values` of a spec with names in place of references, and the `plugins` behind all names.

    Raises:
        PriemoError: a reference to a file that is missing, or names that cannot stand together.
    """
    values = dict(values)
    plugins = values.get("plugins", {})
    for kind, given in plugins.items() if isinstance(plugins, dict) else ():
        if kind not in GROUPS:
            raise unknown("kinds", kind, GROUPS)
        if isinstance(given, dict) and all(isinstance(text, str) for text in given.values()):
            adopt_all(kind, given)
    for key, kind in NAMED.items():
        if key in values:
            values[key] = _names(kind, values[key])
    for key, kind in {"attacks": "attacks", "datasets": "datasets"}.items():
        if isinstance(values.get(key), list | tuple):
            values[key] = [_named(kind, item) for item in values[key]]
    used: dict[str, list[str]] = {kind: [] for kind in ("attacks", "datasets", *NAMED.values())}
    for key, kind in NAMED.items():
        used[kind] += _texts(values.get(key))
    for key in ("attacks", "datasets"):
        for item in _dicts(values.get(key)):
            used[key] += _texts(item.get("name"))
            used["victims"] += _texts(item.get("surrogates"))
    found = {
        kind: {n: text for n in sorted(set(names)) if (text := reference(kind, n)) is not None}
        for kind, names in used.items()
    }
    if any(found.values()):
        values["plugins"] = {kind: names for kind, names in sorted(found.items()) if names}
    return values


def _names(kind: str, value: Any) -> Any:
    """A name, or names and groups of them, with references adopted; the rest as it is."""
    if isinstance(value, str):
        return adopt(kind, value)
    if isinstance(value, list | tuple):
        return [_names(kind, item) for item in value]
    return value


def _named(kind: str, item: Any) -> Any:
    """A table of the spec with its name, and surrogates of its own, adopted."""
    if isinstance(item, BaseModel):
        item = item.model_dump(exclude_unset=True)
    if not isinstance(item, dict):
        return item
    own = {"name": _names(kind, item["name"])} if "name" in item else {}
    if "surrogates" in item:
        own["surrogates"] = _names("victims", item["surrogates"])
    return {**item, **own}


def _dicts(value: Any) -> list[dict[str, Any]]:
    """The tables in a value of TOML."""
    return [i for i in value if isinstance(i, dict)] if isinstance(value, list | tuple) else []


def _texts(value: Any) -> list[str]:
    """The texts in a value of TOML, however deep."""
    if isinstance(value, str):
        return [value]
    return [t for item in value for t in _texts(item)] if isinstance(value, list | tuple) else []
