"""Kin: related victims, which share weights, teachers, authors or training data.

A perturbation that transfers between kin says little of its transfer to unrelated victims.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from priemo_bench.errors import PriemoError
from priemo_bench.registry import unknown

if TYPE_CHECKING:
    from priemo_bench.contracts.card import Kinship

COUNTED_RELATIONS = ("weights", "teachers", "authors", "data")
"""The relations that make two victims kin unless the user says otherwise."""


def check_relations(names: Iterable[str]) -> tuple[str, ...]:
    """The names as a tuple; PriemoError for one that is not in RELATIONS.

    Example:
        >>> check_relations(["data"])
        ('data',)
    """
    names = tuple(names)
    if set(names) <= set(COUNTED_RELATIONS):
        return names
    from priemo_bench.contracts.card import RELATIONS  # pydantic is slow to import

    for name in names:
        if name not in RELATIONS:
            raise unknown("relations", name, RELATIONS)
    return names


def relatives(kinship: Kinship, surrogates: Iterable[str], counted: Iterable[str]) -> set[str]:
    """The surrogates themselves, and all victims related to one of them.

    Args:
        kinship: of every victim, its relatives and how they are related.
        counted: the relations that count.

    Raises:
        PriemoError: a surrogate's relatives are not known.

    Example:
        >>> sorted(relatives({"a": {"b": ["data"], "c": ["authors"]}}, ["a"], ["data"]))
        ['a', 'b']
    """
    counted, found = set(counted), set()
    for name in surrogates:
        if name not in kinship:
            raise PriemoError(f"the relatives of surrogate {name!r} are not known")
        found |= {name} | {other for other, own in kinship[name].items() if counted & set(own)}
    return found
