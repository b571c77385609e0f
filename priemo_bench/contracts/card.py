"""The card of a victim: facts about it, and in what it is kin to another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

RELATIONS = ("weights", "teachers", "authors", "data", "common-data", "architecture")
"""What two victims may share: kinds in which they are kin.

"teachers": one was distilled from the other, or both from a third. "data": a training set that is
not in COMMON_DATA; "common-data": one that is.
"""
COMMON_DATA = frozenset({"fer2013"})
"""Training sets of most classifiers in this field: sharing only these makes no two victims kin."""
Kinship = dict[str, dict[str, list[str]]]
"""Victim to the victims that it is kin to, and for each of them the kinds."""


class Card(BaseModel):
    """Facts about a victim. Accuracies are shares, each with its Wilson 95 % interval.

    Attributes:
        architecture: its family, with its settings in brackets.
        parameters: their number. input: of the network, in words.
        training_data: in words; `data` has the names of the sets, `data_terms` the terms of each.
        sha256: of the weight file.
        authors: who trained it. start: SHA-256 of the pretrained weights, "" for none.
        kin: kinship that the facts above do not show: name of a victim to kinds of RELATIONS.
        accuracy, calibration, robust_accuracy, speed: see `priemo_bench.train.measure`.
        training: epochs, seed, and how the epoch was chosen, of an embedded victim.

    Example:
        >>> from priemo_bench import registry
        >>> card = registry.get("victims", "resnet").card
        >>> card.name, card.input, card.data
        ('resnet', '64x64 RGB', ('fer2013', 'rendered'))
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
    """The RELATIONS in which two victims are kin, by the facts or the `kin` of either card.

    An empty field is shared with no victim.
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
    """All pairs of victims that are kin, both ways; a victim without kin has an empty entry."""
    return {
        name: {
            other: found
            for other, other_card in cards.items()
            if other != name and (found := relations(card, other_card))
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
