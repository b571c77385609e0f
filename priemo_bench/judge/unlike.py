"""What makes two runs unlike, by the facts that stand beside their rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from priemo_bench.contracts.rows import Bounds, Rows


def unlike_budgets(old: Bounds, new: Bounds) -> dict[str, str]:
    """Budgets that are not the same in two runs, each with how they differ.

    Example:
        >>> unlike_budgets(Bounds(0.3, None, 0.1), Bounds(0.997, None, 0.1))
        {'equal': 'SSIM floor 0.3 and 0.997'}
    """
    found = {}
    for budget, floor, name in (
        ("equal", "ssim_floor", "SSIM floor"), ("equal-psnr", "psnr_floor", "PSNR floor"),
    ):  # fmt: skip
        pairs = {
            name: (getattr(old, floor), getattr(new, floor)),
            "cap on the change of a pixel": (old.eps, new.eps),
        }
        if None in pairs[name] and budget == "equal-psnr":
            continue
        words = [f"{n} {_number(a)} and {_number(b)}" for n, (a, b) in pairs.items() if a != b]
        if words:
            found[budget] = ", ".join(words)
    return found


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def other_pictures(old: Rows, new: Rows) -> dict[str, list[str]]:
    """By data set, the ids that stand for other pixels in the other run."""
    before, after = _table(old, "data"), _table(new, "data")
    found = {}
    for name in sorted(before.keys() & after.keys()):
        left, right = (_table(own[name], "pictures") for own in (before, after))
        found[name] = [i for i, digest in left.items() if i in right and right[i] != digest]
    return found


def unlike_runs(old: Rows, new: Rows) -> list[str]:
    """Sentences on what else differs: weights of victims, and pictures known by name only."""
    before, after = _table(old, "victims"), _table(new, "victims")
    changed = [
        name
        for name in before.keys() & after.keys()
        if _digest(before[name]) != _digest(after[name])
        and None not in (_digest(before[name]), _digest(after[name]))
    ]
    found = [f"{' and '.join(sorted(changed))} have other weights"] if changed else []
    sets = _table(old, "data").keys() & _table(new, "data").keys()
    unknown = [
        name for name in sorted(sets)
        if not all(_table(_table(own, "data")[name], "pictures") for own in (old, new))
    ]  # fmt: skip
    if unknown:
        found.append(
            f"whether the pictures of {' and '.join(unknown)} are the same is not known: one of "
            "the runs is of a version that did not write it down; they are paired by their names"
        )
    return found


def _table(source: Rows | Mapping[str, Any], name: str) -> dict[str, Any]:
    """A table among facts; empty where there is none."""
    facts = source.facts if isinstance(source, Rows) else source
    found = facts.get(name) if isinstance(facts, Mapping) else None
    return found if isinstance(found, dict) else {}


def _digest(victim: object) -> str | None:
    found = victim.get("sha256") if isinstance(victim, Mapping) else None
    return found if isinstance(found, str) else None
