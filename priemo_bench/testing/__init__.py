"""The conformance kit: rules that plug-ins must keep, bundled or not.

    from priemo_bench import testing

    def test_my_attack() -> None:
        testing.check_attack(MyAttack)          # or "my_package.attacks:MyAttack"

    @pytest.mark.parametrize("rule", testing.VICTIM_RULES, ids=lambda rule: rule.__name__)
    def test_my_victim(rule) -> None:
        rule(my_victim())

`check_attack`, `check_victim`, `check_defense`, `check_metric` and `check_dataset` try every rule
of their kind, and so does `priemo-bench check KIND NAME`. Where one does not hold they raise
`Broken`, an AssertionError with a line for each broken rule: its name, what was found, how to mend
it.

Rules need neither data nor weights: `toy_faces` have a pattern for each emotion, and `ToyVictim`
classifies them. FACE_RULES, called as `rule(my_victim(), faces)` with labelled faces, check the
order of the labels and the accuracy on the card.
"""

from collections.abc import Callable, Iterator

from priemo_bench.testing.attacks import ATTACK_RULES, attack_verdicts, check_attack
from priemo_bench.testing.cases import AttackCase, protect, toy_case
from priemo_bench.testing.datasets import DATASET_RULES, check_dataset, dataset_verdicts
from priemo_bench.testing.defenses import DEFENSE_RULES, check_defense, defense_verdicts
from priemo_bench.testing.metrics import METRIC_RULES, check_metric, metric_verdicts
from priemo_bench.testing.rules import Broken, Rule, Verdict
from priemo_bench.testing.toys import ToyVictim, toy_classifier, toy_faces
from priemo_bench.testing.victim_rules import VICTIM_RULES
from priemo_bench.testing.victims import FACE_RULES, check_victim, victim_verdicts

VERDICTS: dict[str, Callable[..., Iterator[Verdict]]] = {
    "attacks": attack_verdicts,
    "victims": victim_verdicts,
    "defenses": defense_verdicts,
    "metrics": metric_verdicts,
    "datasets": dataset_verdicts,
}
"""What finds out about a thing of each kind, rule by rule."""

__all__ = [
    "ATTACK_RULES",
    "DATASET_RULES",
    "DEFENSE_RULES",
    "FACE_RULES",
    "METRIC_RULES",
    "VERDICTS",
    "VICTIM_RULES",
    "AttackCase",
    "Broken",
    "Rule",
    "ToyVictim",
    "Verdict",
    "attack_verdicts",
    "check_attack",
    "check_dataset",
    "check_defense",
    "check_metric",
    "check_victim",
    "dataset_verdicts",
    "defense_verdicts",
    "metric_verdicts",
    "protect",
    "toy_case",
    "toy_classifier",
    "toy_faces",
    "victim_verdicts",
]
