"""The conformance kit: rules that every attack and every victim must keep, bundled or not.

    from priemo_bench import testing

    def test_my_attack() -> None:
        testing.check_attack(my_entry)

    @pytest.mark.parametrize("rule", testing.VICTIM_RULES, ids=lambda rule: rule.__name__)
    def test_my_victim(rule) -> None:
        rule(my_victim())

A rule is a function that raises `Broken`, an AssertionError that says what was found. Rules need
neither data nor weights: `toy_faces` have a pattern for each emotion, and `ToyVictim` classifies
them. FACE_RULES, called as `rule(my_victim(), faces)` with labelled faces, check the order of the
labels and the accuracy on the card.
"""

from priemo_bench.testing.attacks import ATTACK_RULES, AttackCase, check_attack, protect
from priemo_bench.testing.toys import Broken, ToyVictim, toy_classifier, toy_faces
from priemo_bench.testing.victims import FACE_RULES, VICTIM_RULES, check_victim

__all__ = [
    "ATTACK_RULES",
    "FACE_RULES",
    "VICTIM_RULES",
    "AttackCase",
    "Broken",
    "ToyVictim",
    "check_attack",
    "check_victim",
    "protect",
    "toy_classifier",
    "toy_faces",
]
