"""Victims against the rules, and the rules that need labelled faces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, update_wrapper
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from torch import nn

from priemo_bench import registry
from priemo_bench.contracts.adapting import victim_entry
from priemo_bench.contracts.attack import named_parameters
from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.predict import predict
from priemo_bench.contracts.victim import Victim
from priemo_bench.testing.rules import Rule, Verdict, check, raise_broken, verdicts
from priemo_bench.testing.victim_rules import VICTIM_RULES


def labels_are_in_order(victim: Victim, faces: FaceSet) -> None:
    """No emotion is mostly predicted as one other, as it would be if outputs were permuted.

    Checked where the victim is correct on half of the faces under some order of its outputs.
    """
    confusion = np.zeros((len(EMOTIONS), len(EMOTIONS)))
    np.add.at(confusion, (faces.labels, predict(victim, faces.images)), 1)
    _, best = linear_sum_assignment(-confusion)
    if confusion[range(len(EMOTIONS)), best].sum() < len(faces) / 2:
        return
    for k, other in enumerate(best):
        recall = confusion[k] / max(confusion[k].sum(), 1)
        check(
            other == k or recall[other] <= max(0.5, recall[k]),
            f"{recall[other]:.0%} of {EMOTIONS[k]} faces are predicted as {EMOTIONS[other]}: "
            "is the order of the labels wrong?",
        )


def is_as_accurate_as_its_card(victim: Victim, faces: FaceSet) -> None:
    """The accuracy on `faces` lies in the interval on the card, if the card has one."""
    claimed = victim.card.accuracy.get(f"{faces.name} {faces.split}", {}).get("overall")
    if claimed:
        found = float((predict(victim, faces.images) == faces.labels).mean())
        check(
            claimed["low"] <= found <= claimed["high"],
            f"accuracy on {faces.name} {faces.split} is {found:.1%}; the card says "
            f"{claimed['low']:.1%} to {claimed['high']:.1%}",
        )


FACE_RULES: tuple[Callable[[Victim, FaceSet], None], ...] = (
    labels_are_in_order,
    is_as_accurate_as_its_card,
)


MENDS = (
    "give the labels in the order of the network's outputs",
    "measure the card again: priemo-bench cards NAME --data PATH",
)
"""Of FACE_RULES."""


def victim_verdicts(entry: Any, faces: FaceSet | None = None) -> Iterator[Verdict]:
    """What comes of each of VICTIM_RULES, and with faces of FACE_RULES.

    Args:
        entry, faces: as for `check_victim`.
    """
    victim: Any = _made(registry.get("victims", entry) if isinstance(entry, str) else entry)
    on_faces = []
    for face_rule, mend in zip(FACE_RULES, MENDS, strict=True) if faces is not None else ():
        own: Any = face_rule
        test = update_wrapper(partial(own, faces=faces), own)
        on_faces.append(Rule(test, mend))
    return verdicts([*VICTIM_RULES, *on_faces], [("", victim)])


def _made(thing: Any) -> Any:
    """The victim of an entry; what is no `Victim` yet is made one as the registry does."""
    entry = victim_entry(thing, "the victim")
    if not isinstance(thing, nn.Module) and not _needed(thing):
        thing = thing()
    return thing if isinstance(thing, Victim) else entry()


def _needed(thing: Any) -> list[str]:
    """Parameters without a default: one that has some predicts, others make a victim."""
    return [p.name for p in named_parameters(thing).values() if p.default is p.empty]


def check_victim(entry: Any, faces: FaceSet | None = None) -> None:
    """Check a victim against VICTIM_RULES.

    Args:
        entry: a name, a TOML file, "module:thing" or "file.py:thing"; or what such a name stands
            for: a victim, a torch module, a class or function that makes one, or one that predicts.
        faces: labelled faces, such as a test split, for FACE_RULES; None leaves these out.

    Raises:
        Broken: a rule does not hold; a line for each that does not, with how to mend it.
        PriemoError: it cannot be imported, or is no victim.

    Example:
        >>> from priemo_bench.testing import ToyVictim
        >>> check_victim(ToyVictim)
        >>> check_victim(lambda: ToyVictim().train())  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        priemo_bench.testing.rules.Broken: is_in_evaluation_mode: in training mode: the victim, ...
    """
    raise_broken(victim_verdicts(entry, faces))
