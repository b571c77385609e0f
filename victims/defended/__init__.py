"""Victims with a model defense: noise and a vote, a vote of networks, or several views.

Each is made of embedded victims, reads what they read, and has no weights of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from priemo_bench.errors import PriemoError
from priemo_bench.victims.zoo import HERE, EmbeddedVictim, repvgg, resnet, vgg

if TYPE_CHECKING:
    from priemo_bench.contracts.card import Card
    from priemo_bench.contracts.training import TrainingSpec
    from priemo_bench.contracts.victim import Victim

SAME = ("weights", "architecture")
"""In what a defended victim is kin to those it is made of."""


@dataclass(frozen=True, repr=False)
class DefendedVictim:
    """Entry point of a defended victim: calling it loads it. torch is imported on use.

    Attributes:
        name: of the victim and its card.
        parts: the embedded victims that it is made of.
        defense: name of its class, and `options` its further arguments.
        words: what it does, for the card.
        root: folder with cards/NAME.json.
        card_faces: faces of each set that its card is measured on; None for all.

    Example:
        >>> resnet_tta
        DefendedVictim('resnet-tta')
        >>> resnet_tta.card.kin["resnet"]
        ('weights', 'architecture')
    """

    name: str
    parts: tuple[EmbeddedVictim, ...]
    defense: str
    words: str
    options: Mapping[str, Any] = field(default_factory=dict)
    root: Path = HERE
    card_faces: int | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @property
    def card_file(self) -> Path:
        """What was measured, as JSON."""
        return self.root / "cards" / f"{self.name}.json"

    @property
    def spec(self) -> TrainingSpec:
        """That of its first part, under its own name: which data sets a card is measured on."""
        return self.parts[0].spec.model_copy(update={"name": self.name})

    @property
    def card(self) -> Card:
        """The facts of its parts, and what was measured of itself; PriemoError if damaged."""
        from pydantic import ValidationError

        from priemo_bench.contracts.card import Card
        from priemo_bench.contracts.config import first_error

        facts = self._facts()
        if not self.card_file.is_file():
            return facts
        try:
            measured = Card.model_validate_json(self.card_file.read_text("utf-8"))
        except ValidationError as error:
            reason = first_error(error, Card)
            raise PriemoError(f"card {self.card_file} is damaged: {reason}") from None
        return measured.model_copy(update={n: getattr(facts, n) for n in facts.model_fields_set})

    def _facts(self) -> Card:
        from priemo_bench.contracts.card import Card

        cards = [part.card for part in self.parts]
        digests = [card.sha256 for card in cards]
        networks = ", ".join(dict.fromkeys(card.architecture.split(" (")[0] for card in cards))
        kin: dict[str, tuple[str, ...]] = {part.name: SAME for part in self.parts}
        kin |= {
            other.name: SAME
            for other in DEFENDED
            if other.name != self.name and set(other.parts) & set(self.parts)
        }
        return Card(
            name=self.name,
            architecture=f"{self.words}, of {networks} ({', '.join(p.name for p in self.parts)})",
            parameters=sum(card.parameters for card in cards),
            input=", ".join(dict.fromkeys(card.input for card in cards)),
            training_data=cards[0].training_data,
            licence=", ".join(dict.fromkeys(card.licence for card in cards)),
            sha256=digests[0] if len(set(digests)) == 1 else _digest_of(digests),
            data=tuple(dict.fromkeys(name for card in cards for name in card.data)),
            data_terms={name: terms for card in cards for name, terms in card.data_terms.items()},
            authors=tuple(dict.fromkeys(name for card in cards for name in card.authors)),
            kin=kin,
        )

    def __call__(self) -> Victim:
        """The frozen victim; PriemoError when the weights of a part are not those of its card."""
        from priemo_bench.contracts.victim import freeze
        from priemo_bench.victims.defended import networks

        make = getattr(networks, self.defense)
        victim: Victim = freeze(make(*(part() for part in self.parts), **self.options))
        victim.card = self.card
        return victim


def _digest_of(digests: list[str]) -> str:
    """One SHA-256 of several, in their order."""
    return sha256(" ".join(digests).encode()).hexdigest()


def _smoothed(sigma: float) -> DefendedVictim:
    return DefendedVictim(
        f"resnet-smoothed-{100 * sigma:.0f}",
        (resnet,),
        "SmoothedVictim",
        f"randomised smoothing, sigma {sigma:g}, vote of 100",
        {"sigma": sigma},
        card_faces=100,
    )


resnet_smoothed_12 = _smoothed(0.12)
resnet_smoothed_25 = _smoothed(0.25)
resnet_smoothed_50 = _smoothed(0.5)
resnet_tta = DefendedVictim("resnet-tta", (resnet,), "AugmentedVictim", "mean over eight views")
zoo_vote = DefendedVictim("zoo-vote", (resnet, vgg, repvgg), "VotingVictim", "majority vote")

DEFENDED = (resnet_smoothed_12, resnet_smoothed_25, resnet_smoothed_50, resnet_tta, zoo_vote)
