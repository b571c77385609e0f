"""A conformance kit: what every attack and every victim must do, for ours and for a stranger's.

    from priemo_bench import testing

    def test_my_attack() -> None:
        testing.check_attack(my_entry)

    @pytest.mark.parametrize("rule", testing.VICTIM_RULES, ids=lambda rule: rule.__name__)
    def test_my_victim(rule) -> None:
        rule(my_victim())

A rule is a function that raises `Broken`, an AssertionError whose sentence says what was found. It
needs neither data nor weights: there are toy faces with seven patterns for emotions, and a toy
victim that reads them. `FACE_RULES` take labelled faces too, `rule(my_victim(), faces)`: the order
of the labels, and the accuracy on the card.
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
