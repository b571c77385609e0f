"""Attacks against the rules: all of them, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from priemo_bench import registry
from priemo_bench.contracts.adapting import attack_entry
from priemo_bench.contracts.image import FloatImages, Labels
from priemo_bench.testing import attack_calls, attack_results
from priemo_bench.testing.cases import AttackCase, toy_case
from priemo_bench.testing.rules import Rule, Verdict, raise_broken, verdicts

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier

ATTACK_RULES: tuple[Rule[AttackCase], ...] = (*attack_results.RULES, *attack_calls.RULES)


def attack_verdicts(entry: Any, **params: Any) -> Iterator[Verdict]:
    """What comes of each of ATTACK_RULES on the toy victim and toy faces, grey and RGB.

    Args:
        entry, params: as for `check_attack`.
    """
    found = registry.get("attacks", entry) if isinstance(entry, str) else entry
    found = attack_entry(found, "the attack")
    cases = [(word, toy_case(found, channels, **params)) for word, channels in COLOURS]
    return verdicts(ATTACK_RULES, cases)


COLOURS = (("grey", 1), ("RGB", 3))


def check_attack(
    entry: Any,
    classifier: PyTorchClassifier | None = None,
    x: FloatImages | None = None,
    y: Labels | None = None,
    **params: Any,
) -> None:
    """Check an attack against ATTACK_RULES.

    Args:
        entry: a name, "module:Class" or "file.py:Class"; or what such a name stands for: an
            attack's entry, any class or object of ART's attacks, a class of attacks on a torch
            model, or a function of x and y.
        classifier, x, y: surrogate, images in [0, 1] and labels; unless all are given, the toy
            victim and toy faces, grey and RGB.
        params: for the attack's constructor.

    Raises:
        Broken: a rule does not hold; a line for each that does not, with how to mend it.
        PriemoError: it cannot be imported, or is no attack.

    Example:
        >>> check_attack("pixelate")
        >>> def darken(x, y):
        ...     x *= 0.9
        ...     return x
        >>> check_attack(darken)
    """
    if classifier is None or x is None or y is None:
        raise_broken(attack_verdicts(entry, **params))
        return
    found = registry.get("attacks", entry) if isinstance(entry, str) else entry
    case = AttackCase(attack_entry(found, "the attack"), classifier, x, y, params)
    raise_broken(verdicts(ATTACK_RULES, [("", case)]))
