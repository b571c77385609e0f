"""The card of a victim: what is known of it, and what it shares with another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

RELATIONS = ("weights", "teachers", "authors", "data", "common-data", "architecture")
"""What two victims may share.

"teachers": one learned from the other, or both from a third. "data": a set to learn from that is
not in COMMON_DATA, "common-data": one that is.
"""
COMMON_DATA = frozenset({"fer2013"})
"""Sets that almost everyone in this field learns from: sharing one alone makes nobody kin."""
Kinship = dict[str, dict[str, list[str]]]
"""Victim to its relatives, and for each of them the kinds in which the two are kin."""


class Card(BaseModel):
    """What is known of a victim. Accuracies are shares with a Wilson 95 % interval beside them.

    Attributes:
        architecture: its family, and in brackets what sets it apart.
        training_data: in words; `data` has the names of the sets, `data_terms` the terms of each.
        authors: who trained it. start: SHA-256 of the weights its training started from, if any.
        kin: relatives that the facts above do not show: name of a victim to kinds of
            `priemo_bench.contracts.card.RELATIONS`.
        accuracy, calibration, robust_accuracy, speed: see `priemo_bench.train.measure`.
        training: epochs, seed, and how the epoch was chosen, of a victim trained here.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str
    architecture: str
    parameters: int
    input: str
    training_data: str
    licence: str
    sha256: str
    data: tuple[str, ...] = ()
    data_terms: dict[str, str] = {}
    authors: tuple[str, ...] = ()
    start: str = ""
    kin: dict[str, tuple[str, ...]] = {}
    accuracy: dict[str, Any] = {}
    calibration: dict[str, Any] = {}
    robust_accuracy: dict[str, Any] = {}
    speed: dict[str, Any] = {}
    training: dict[str, Any] = {}


def relations(a: Card, b: Card) -> list[str]:
    """In which of RELATIONS two victims are kin: by their cards' facts, or as either card declares.

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
    return [kind for kind in RELATIONS if facts[kind] or kind in declared]


def kinship(cards: Mapping[str, Card]) -> Kinship:
    """All relatives of all victims, both ways; a victim without relatives has an empty entry."""
    return {
        name: {
            other: found
            for other, its in cards.items()
            if other != name and (found := relations(card, its))
        }
        for name, card in cards.items()
    }


def _overlap(a: Iterable[str], b: Iterable[str]) -> bool:
    return bool({name.casefold() for name in a} & {name.casefold() for name in b})


def _data(card: Card) -> set[str]:
    return {name.casefold() for name in card.data}


def _teachers(card: Card) -> set[str]:
    return {name for name, kinds in card.kin.items() if "teachers" in kinds}


def _family(card: Card) -> str:
    """ "timm ResNet" of "timm ResNet (resnet10t, ...)"."""
    return card.architecture.split(" (")[0].casefold()
