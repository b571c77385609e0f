"""What a study does, piece by piece: one adversary, with what he has, against one attack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from priemo_bench.adversaries.cases import Case, Finding
from priemo_bench.adversaries.study import AttackStudy, Study

Findings = Callable[[Case, Mapping[str, Any]], Iterator[Finding]]
ROOM = "priemo_bench.adversaries"
MODULES = {
    "reading": "reading", "cost": "reading", "averaging": "averaging", "leak": "leaks",
    "retraining": "retraining", "tuning": "retraining", "purifier": "purifying",
    "adaptive": "purifying", "detector": "detecting",
}  # fmt: skip
"""Of each adversary of a study, the file of this room whose code decides what is found."""


@dataclass(frozen=True)
class Unit:
    """One piece of work, whose findings are kept.

    Attributes:
        adversary: name in the study. variant: what tells it from others of that name.
    """

    attack: AttackStudy
    adversary: str
    variant: tuple[tuple[str, Any], ...] = ()

    @property
    def title(self) -> str:
        """In a few words, for progress and failures."""
        words = ", ".join(f"{name} {value}" for name, value in self.variant)
        return f"{self.attack.title}: {self.adversary}" + (f" ({words})" if words else "")

    @property
    def module(self) -> str:
        """The module that finds out."""
        return f"{ROOM}.{MODULES[self.adversary]}"

    @property
    def findings(self) -> Findings:
        """The function that does."""
        from priemo_bench.adversaries import (
            averaging,
            detecting,
            leaks,
            purifying,
            reading,
            retraining,
        )

        found: dict[str, Findings] = {
            "reading": reading.findings, "cost": reading.costs, "averaging": averaging.findings,
            "leak": leaks.findings, "retraining": retraining.findings,
            "tuning": retraining.findings, "purifier": purifying.findings,
            "adaptive": purifying.adaptive, "detector": detecting.findings,
        }  # fmt: skip
        return found[self.adversary]

    def settings(self, study: Study) -> list[object]:
        """What of the study decides the findings beside images and victims."""
        sections: dict[str, object] = {
            "averaging": study.averaging, "retraining": study.retraining,
            "tuning": study.retraining, "detector": study.detecting, "reading": study.newer,
        }  # fmt: skip
        own = study.victims, sections.get(self.adversary), study.seed, self.attack.seen
        return [self.adversary, *self.variant, *map(repr, own)]


STAGES = (
    ("reading", "cost", "leak", "averaging"), ("retraining", "tuning"),
    ("detector", "purifier", "adaptive"),
)  # fmt: skip
"""What costs little comes first, so that an interrupted study tells something of every attack."""
MANY = 1000
"""Pairs; what learns from more comes last of all."""


def units(study: Study) -> list[Unit]:
    """All of a study, in the order in which they are done."""
    found = [
        Unit(attack, adversary, tuple(variant.items()))
        for attack in study.attacks
        for adversary in attack.adversaries
        for variant in _variants(study, attack, adversary)
    ]
    return sorted(found, key=_stage)


def _stage(unit: Unit) -> int:
    if dict(unit.variant).get("pairs", 0) > MANY:
        return len(STAGES)
    return next(k for k, names in enumerate(STAGES) if unit.adversary in names)


def _variants(study: Study, attack: AttackStudy, adversary: str) -> list[dict[str, Any]]:
    retraining, purifying = study.retraining, study.purifying
    if adversary == "retraining":
        shares = attack.shares or retraining.shares
        enough = [s for s in shares if s * retraining.faces <= attack.seen]
        return [{"share": share} for share in enough]
    if adversary == "tuning":
        return [{"tuned": name} for name in retraining.tuned]
    if adversary == "purifier":
        own = [{"pairs": n} for n in purifying.pairs if n <= attack.seen]
        others = purifying.other_pairs
        return [*own, *({"pairs": others, "from": name} for name in attack.purified_from)]
    if adversary == "adaptive":
        return [{"pairs": min(purifying.other_pairs, attack.seen)}]
    if adversary == "detector":
        from priemo_bench.adversaries.detecting import KINDS

        return [{"kind": kind} for kind in KINDS]
    return [{}]
