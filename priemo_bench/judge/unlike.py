"""What makes two runs unlike, by the facts that stand beside their rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from priemo_bench.contracts.budgets import CONVENTIONAL, Bounds
from priemo_bench.contracts.rows import Rows

BOUNDS = {"ssim_floor": "SSIM floor", "psnr_floor": "PSNR floor", "eps": "cap on a pixel"}


def unlike(old: Rows, new: Rows, budgets: Iterable[str]) -> list[str]:
    """What two runs call by one name and is not the same; they cannot be compared then.

    Args:
        budgets: those under which both have rows.

    Returns:
        A part of a sentence for each: budgets of other bounds, pictures of other pixels, victims
        of other weights.
    """
    return [
        *(unlike_budget(name, old.bounds_of(name), new.bounds_of(name))
          for name in dict.fromkeys(budgets) if name != CONVENTIONAL
          and old.bounds_of(name) != new.bounds_of(name)),
        *(f"{count} pictures of {name} have other pixels"
          for name, count in _other_pictures(old, new).items() if count),
        *(f"victim {name} has other weights" for name in _other_weights(old, new)),
    ]  # fmt: skip


def unlike_budget(name: str, old: Bounds, new: Bounds) -> str:
    """How a budget differs.

    Example:
        >>> unlike_budget("equal", Bounds(0.98, None, 0.1), Bounds(0.997, None, 0.1))
        'budget equal is SSIM floor 0.98 and SSIM floor 0.997'
    """
    sides = [
        " with ".join(
            f"{BOUNDS[field]} {'none' if value is None else f'{value:.4g}'}"
            for field, value, other in zip(Bounds._fields, own, against, strict=True)
            if value != other
        )
        for own, against in ((old, new), (new, old))
    ]
    return f"budget {name} is {' and '.join(sides)}"


def unknown_pictures(old: Rows, new: Rows) -> list[str]:
    """A sentence where pictures can only be paired by their names, which proves little."""
    sets = sorted(_table(old, "data").keys() & _table(new, "data").keys())
    unknown = [
        name for name in sets
        if not all(_table(_table(own, "data")[name], "pictures") for own in (old, new))
    ]  # fmt: skip
    if not unknown:
        return []
    return [
        f"whether the pictures of {' and '.join(unknown)} are the same is not known: one of the "
        "runs is of a version that did not write it down; they are paired by their names"
    ]


def _other_pictures(old: Rows, new: Rows) -> dict[str, int]:
    """By data set, how many ids stand for other pixels in the other run."""
    before, after = _table(old, "data"), _table(new, "data")
    found = {}
    for name in sorted(before.keys() & after.keys()):
        left, right = (_table(own[name], "pictures") for own in (before, after))
        found[name] = sum(i in right and right[i] != digest for i, digest in left.items())
    return found


def _other_weights(old: Rows, new: Rows) -> list[str]:
    before, after = _table(old, "victims"), _table(new, "victims")
    both = sorted(before.keys() & after.keys())
    pairs = {name: (_digest(before[name]), _digest(after[name])) for name in both}
    return [name for name, (a, b) in pairs.items() if None not in (a, b) and a != b]


def _table(source: Rows | Mapping[str, Any], name: str) -> dict[str, Any]:
    """A table among facts; empty where there is none."""
    facts = source.facts if isinstance(source, Rows) else source
    found = facts.get(name) if isinstance(facts, Mapping) else None
    return found if isinstance(found, dict) else {}


def _digest(victim: object) -> str | None:
    found = victim.get("sha256") if isinstance(victim, Mapping) else None
    return found if isinstance(found, str) else None
