"""Which victims are kin: a perturbation that passes between kin says little about strangers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from priemo_bench.errors import PriemoError
from priemo_bench.registry import unknown
from priemo_bench.victim import Card

KINDS = ("weights", "teachers", "authors", "data", "common-data", "architecture")
"""What two victims may share.

"teachers": one learned from the other, or both from a third. "data": a set to learn from that is
not in COMMON_DATA, "common-data": one that is.
"""
COMMON_DATA = frozenset({"fer2013"})
"""Sets that almost everyone in this field learns from: sharing one alone makes nobody kin."""
COUNTED = ("weights", "teachers", "authors", "data")
"""The kinds that make two victims kin unless the user says otherwise."""
Kinship = dict[str, dict[str, list[str]]]
"""Victim to its relatives, and for each of them the kinds in which the two are kin."""


def shared(a: Card, b: Card) -> list[str]:
    """In which of KINDS two victims are kin: by their cards' facts, or as either card declares.

    What a card leaves out is shared with nobody.
    """
    facts = {
        "weights": a.sha256 == b.sha256 or (bool(a.start) and a.start == b.start),
        "teachers": bool(_teachers(a) & _teachers(b)),
        "authors": _overlap(a.authors, b.authors),
        "data": bool(_data(a) & _data(b) - COMMON_DATA),
        "common-data": bool(_data(a) & _data(b) & COMMON_DATA),
        "architecture": _family(a) == _family(b),
    }
    declared = {*a.kin.get(b.name, ()), *b.kin.get(a.name, ())}
    return [kind for kind in KINDS if facts[kind] or kind in declared]


def kinship(cards: Mapping[str, Card]) -> Kinship:
    """All relatives of all victims, both ways; a victim without relatives has an empty entry."""
    return {
        name: {
            other: found
            for other, its in cards.items()
            if other != name and (found := shared(card, its))
        }
        for name, card in cards.items()
    }


def check_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """The kinds; PriemoError for one that is not in KINDS."""
    kinds = tuple(kinds)
    for kind in kinds:
        if kind not in KINDS:
            raise unknown("kinds of kin", kind, KINDS)
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


def _overlap(a: Iterable[str], b: Iterable[str]) -> bool:
    return bool({name.casefold() for name in a} & {name.casefold() for name in b})


def _data(card: Card) -> set[str]:
    return {name.casefold() for name in card.data}


def _teachers(card: Card) -> set[str]:
    return {name for name, kinds in card.kin.items() if "teachers" in kinds}


def _family(card: Card) -> str:
    """ "timm ResNet" of "timm ResNet (resnet10t, ...)"."""
    return card.architecture.split(" (")[0].casefold()
