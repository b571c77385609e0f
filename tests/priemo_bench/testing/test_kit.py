"""The conformance kit itself: good plug-ins pass, and each rule catches what it is there for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from priemo_bench import cli, testing
from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.errors import PriemoError
from priemo_bench.references import module_of_file
from priemo_bench.testing import victims as victim_rules

SPECIMENS = [
    Path(__file__).with_name(f"{kind}_specimens.py") for kind in ("attack", "victim", "other")
]
ATTACKS, _, OTHERS = SPECIMENS
CHECKS = {
    "attacks": testing.check_attack,
    "victims": testing.check_victim,
    "defenses": testing.check_defense,
    "metrics": testing.check_metric,
    "datasets": testing.check_dataset,
}


MADE = [module_of_file(path, 0) for path in SPECIMENS]
CONFORMING = {kind: things for module in MADE for kind, things in module.CONFORMING.items()}
BREAKS = {kind: rules for module in MADE for kind, rules in module.BREAKS.items()}


def rules_of(kind: str) -> tuple[testing.Rule[Any], ...]:
    found: tuple[testing.Rule[Any], ...] = getattr(testing, f"{kind[:-1].upper()}_RULES")
    return found


def only_rule(monkeypatch: pytest.MonkeyPatch, kind: str, name: str) -> None:
    """The kit has this rule only, which saves time."""
    own = tuple(rule for rule in rules_of(kind) if rule.__name__ == name)
    module = sys.modules[f"priemo_bench.testing.{kind}"]
    monkeypatch.setattr(module, f"{kind[:-1].upper()}_RULES", own)


def cases() -> Iterator[Any]:
    for kind, rules in BREAKS.items():
        for rule, specimens in rules.items():
            for specimen in specimens:
                yield pytest.param(kind, rule, specimen, id=f"{kind}-{rule}-{specimen.__name__}")


@pytest.mark.parametrize("channels", [1, 3])
def test_toy_victim_classifies_toy_faces(channels: int) -> None:
    x, y = testing.toy_faces(70, channels)
    assert (testing.toy_classifier(channels).predict(x).argmax(1) == y).all()


@pytest.mark.parametrize("kind", CHECKS)
def test_what_conforms_passes(kind: str) -> None:
    for thing in CONFORMING[kind]:
        CHECKS[kind](thing)


@pytest.mark.parametrize("kind", CHECKS)
def test_every_rule_has_a_specimen_that_breaks_it(kind: str) -> None:
    assert {rule.__name__ for rule in rules_of(kind)} == set(BREAKS[kind])
    assert all(rule.says.endswith(".") and rule.mend for rule in rules_of(kind))


@pytest.mark.parametrize(("kind", "rule", "specimen"), list(cases()))
def test_a_broken_rule_is_named_with_how_to_mend_it(
    kind: str, rule: str, specimen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_rule(monkeypatch, kind, rule)
    with pytest.raises(testing.Broken) as caught:
        CHECKS[kind](specimen)
    (line,) = str(caught.value).splitlines()
    (own,) = (r for r in rules_of(kind) if r.__name__ == rule)
    assert line.startswith(f"{rule}: ")
    assert line.endswith(f"To mend it: {own.mend}")


def test_all_broken_rules_are_told_at_once() -> None:
    with pytest.raises(testing.Broken) as caught:
        testing.check_defense(BREAKS["defenses"]["does_not_modify_its_input"][0])
    names = [line.partition(":")[0] for line in str(caught.value).splitlines()]
    assert "does_not_modify_its_input" in names
    assert len(names) > 1


def test_exceptions_of_others_name_the_line_and_are_no_traceback() -> None:
    fails = BREAKS["attacks"]["keeps_the_image_contract"][1]
    (verdict,) = (v for v in testing.VERDICTS["attacks"](fails)
                  if v.rule == "keeps_the_image_contract")  # fmt: skip
    assert verdict.fault.startswith("it raised RuntimeError: Only Tensors of floating point")
    assert "(attack_specimens.py, line " in verdict.fault
    with pytest.raises(testing.Broken) as caught:
        testing.check_attack(fails)
    assert caught.value.__cause__ is None


def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """Exit code of `priemo-bench check WORDS`."""
    monkeypatch.setattr(sys, "argv", ["priemo-bench", "check", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    code = stopped.value.code
    return code if isinstance(code, int) else 0


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "defense", "jpeg75") == 0
    assert "9 of 9 rules are kept" in capsys.readouterr().out
    assert call(monkeypatch, "metric", f"{OTHERS}:one_number", "--json") == 1
    assert '"rule": "gives_a_number_for_each_image"' in capsys.readouterr().out
    assert call(monkeypatch, "attacks", f"{ATTACKS}:InPlace") == 1
    out, err = capsys.readouterr()
    (line,) = (own for own in out.splitlines() if "does_not_modify_its_input" in own)
    assert line.startswith("BROKEN")
    assert "copy before writing" in line
    assert "Traceback" not in out + err
    assert call(monkeypatch, "attack", f"{ATTACKS}:Step", "--param", "epz=1") == 1
    assert "epz" in capsys.readouterr().out
    for words in (
        ("attak", "noise"), ("attack", "nois"), ("attack", "nowhere.py:Thing"),
        ("attack", f"{ATTACKS}:Nothing"), ("metric", f"{ATTACKS}:EPS"),
    ):  # fmt: skip
        assert call(monkeypatch, *words) == 2
        assert len(capsys.readouterr().err.strip()) > 20


def test_what_is_none_of_its_kind_is_a_sentence() -> None:
    for kind, check in CHECKS.items():
        with pytest.raises(PriemoError, match="is a int"):
            check(3)
        with pytest.raises(PriemoError, match="is called 'nosuchthing'"):
            check("nosuchthing")
        assert kind


class Shuffled(testing.ToyVictim):
    """Its outputs stand in another order."""

    def head(self, f: Tensor) -> Tensor:
        return super().head(f)[:, [1, 0, 2, 3, 4, 5, 6]]


def _labelled(n: int = 70) -> FaceSet:
    x, y = testing.toy_faces(n)
    ids = np.array([f"{i:03}" for i in range(n)])
    return FaceSet("toys", "test", np.rint(x * 255).astype(np.uint8), y, ids, ids)


def test_labels_in_another_order_are_caught() -> None:
    testing.check_victim(testing.ToyVictim, _labelled())
    with pytest.raises(testing.Broken, match="angry faces are predicted as disgust"):
        testing.check_victim(Shuffled, _labelled())


def test_an_accuracy_other_than_the_cards_is_caught() -> None:
    victim = testing.ToyVictim()
    victim_rules.is_as_accurate_as_its_card(victim, _labelled())  # without an accuracy
    for low, high in ((0.95, 1.0), (0.4, 0.6)):
        claimed = {"toys test": {"overall": {"low": low, "high": high}}}
        victim.card = victim.card.model_copy(update={"accuracy": claimed})
        if high == 1:
            victim_rules.is_as_accurate_as_its_card(victim, _labelled())
        else:
            with pytest.raises(testing.Broken, match=r"toys test is 100\.0%"):
                victim_rules.is_as_accurate_as_its_card(victim, _labelled())
