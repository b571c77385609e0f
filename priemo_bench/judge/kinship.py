"""Which victims are kin: a perturbation that passes between kin says little about strangers."""

from __future__ import annotations

from collections.abc import Iterable

from priemo_bench.contracts.card import RELATIONS, Kinship
from priemo_bench.errors import PriemoError
from priemo_bench.registry import unknown

COUNTED_RELATIONS = ("weights", "teachers", "authors", "data")
"""The kinds that make two victims kin unless the user says otherwise."""


def check_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """The kinds; PriemoError for one that is not in RELATIONS."""
    kinds = tuple(kinds)
    for kind in kinds:
        if kind not in RELATIONS:
            raise unknown("kinds of kin", kind, RELATIONS)
    return kinds


def relatives(kinship: Kinship, surrogates: Iterable[str], kinds: Iterable[str]) -> set[str]:
    """The surrogates themselves and all that are kin of one of them in one of `kinds`.

    Raises:
        PriemoError: nothing is known of a surrogate's kin.
    """
    counted, found = set(kinds), set()
    for name in surrogates:
        if name not in kinship:
            raise PriemoError(f"the kin of surrogate {name!r} are not known")
        found |= {name} | {other for other, own in kinship[name].items() if counted & set(own)}
    return found
