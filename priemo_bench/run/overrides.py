"""What the command line puts in place of values of a spec, before they are checked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from priemo_bench.errors import PriemoError
from priemo_bench.registry import adopt, adopt_all, is_black_box, names, unknown

Values = dict[str, Any]
"""Keys and values of a spec, or of one of its tables, as in TOML."""


def override(
    values: Values,
    dataset: str | None = None,
    data: str | Path | None = None,
    size: int | None = None,
    limit: int | None = None,
    attacks: Any = None,
    victims: Any = None,
    surrogates: tuple[str | tuple[str, ...], ...] | None = None,
    seeds: tuple[int, ...] | None = None,
    params: Mapping[str, Any] | None = None,
    **others: Any,
) -> Values:
    """`values` of a spec with those of the command line; None leaves a value alone.

    `attacks`, `victims`, `defenses` and `metrics` are several names, references or things, or a
    mapping of names to these (`registry.adopt_all`); an attack may be a table of the spec, too.
    `dataset` keeps what the spec says of it and drops the other data sets; `attacks` are labels or,
    where none is that, names, kept as the spec has them; `surrogates` and `seeds` also replace
    those of single attacks, whose own limits stay where they are smaller. `victims` without
    `surrogates` restricts surrogates to them, too (see `_restricted`).
    """
    for kind in ("defenses", "metrics"):
        if others.get(kind) is not None:
            others[kind] = adopt_all(kind, others[kind])
    values = {**values, **{k: v for k, v in others.items() if v is not None}}
    sets = [dict(d) for d in values.get("datasets", [])]
    if dataset is not None:
        sets = [d for d in sets if d.get("name") == dataset] or [{"name": dataset}]
    given = {"data": None if data is None else str(data), "size": size, "limit": limit}
    for item in sets:
        item.update({k: v for k, v in given.items() if v is not None})
    values["datasets"] = sets
    if attacks is not None:
        values["attacks"] = _chosen(values.get("attacks", []), _tables(attacks))
    if params:
        if attacks is None:
            raise PriemoError("parameters go with attacks that are chosen by name")
        values["attacks"] = [
            {**a, "params": {**a.get("params", {}), **params}} for a in values["attacks"]
        ]
    for key, value in {"surrogates": surrogates, "seeds": seeds}.items():
        if value is not None:
            values[key] = value
            values["attacks"] = [
                {k: v for k, v in a.items() if k != key} for a in values.get("attacks", [])
            ]
    if victims is not None:
        victims = adopt_all("victims", victims)
        inside = [name for name in victims if not is_black_box(name)]
        if surrogates is None and inside:
            values = _restricted(values, inside)
        values["victims"] = victims
    return values


def _tables(attacks: Any) -> list[str | Values]:
    """Attacks by name, or as tables of a spec with names in them."""
    if isinstance(attacks, Mapping | str) or not isinstance(attacks, Iterable):
        return list(adopt_all("attacks", attacks))
    found: list[str | Values] = []
    for item in attacks:
        if isinstance(item, Mapping) and "name" in item:
            found.append({**item, "name": adopt("attacks", item["name"])})
        else:
            found += adopt_all("attacks", item if isinstance(item, Mapping) else [item])
    return found


def _chosen(entries: list[Values], wanted: list[str | Values]) -> list[Values]:
    chosen: list[Values] = []
    labels = {str(e.get("label") or e.get("name")) for e in entries}
    for name in wanted:
        if not isinstance(name, str):
            chosen.append(name)
            continue
        own = [e for e in entries if name == (e.get("label") or e.get("name"))]
        own = own or [e for e in entries if name == e.get("name")]
        if not own and name not in names("attacks"):
            raise unknown("attacks", name, {*labels, *names("attacks")})
        chosen += [e for e in own or [{"name": name}] if e not in chosen]
    return chosen


def _restricted(values: Values, victims: Collection[str]) -> Values:
    """`values` with only `victims` among the surrogates.

    An attack whose own surrogates are all others gets the spec's, as many as it had. Where the
    spec's are all others, too, victims that the spec does not have take their place, if its own
    surrogates were victims; else they stay: `Spec.outside_surrogates`.
    """
    threat = values.get("threat")
    common = _groups(values.get("surrogates"))
    inside = _within(common, victims, threat)
    judged = _groups(values.get("victims"))
    if not inside and threat != "transfer" and _within(common, judged, None):
        inside = [name for name in victims if name not in judged]
    offered = inside or ([] if common else list(victims))
    attacks = []
    for attack in values.get("attacks", []):
        if own := _groups(attack.get("surrogates")):
            judged_as = attack.get("threat", threat)
            left = _within(own, victims, judged_as) or offered[: len(own)]
            attack = {**attack, "surrogates": left or _judged(own, victims, judged_as) or own}
        attacks.append(attack)
    if common:
        values = {**values, "surrogates": inside or _judged(common, victims, threat) or common}
    return {**values, "attacks": attacks}


def _within(groups: list[Any], victims: Collection[str], threat: object) -> list[Any]:
    """Surrogates, alone or in groups, cut to those among `victims`; each once."""
    found: list[Any] = []
    for group in groups:
        members = [name for name in _members(group) if name in victims]
        cut = members[0] if len(members) == 1 else members
        if members and cut not in found:
            found.append(cut)
    return _judged(found, victims, threat)


def _judged(groups: list[Any], victims: Collection[str], threat: object) -> list[Any]:
    """Groups that leave one of `victims` to judge them."""
    if threat != "transfer":
        return groups
    return [g for g in groups if any(name not in _members(g) for name in victims)]


def _members(group: Any) -> list[Any]:
    return list(group) if isinstance(group, list | tuple) else [group]


def _groups(value: object) -> list[Any]:
    """The surrogates of a table; empty where they are missing, or wrong and refused later."""
    return list(value) if isinstance(value, list | tuple) else []
