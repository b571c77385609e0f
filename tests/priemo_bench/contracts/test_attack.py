"""How the harness makes an attack from its entry."""

from __future__ import annotations

from typing import Any

import pytest

from priemo_bench.contracts.attack import Traits, make_attack
from priemo_bench.errors import PriemoError

FIRST, SECOND, THIRD = (object() for _ in range(3))


class Entry:
    """An entry that keeps the arguments it is called with."""

    def __init__(self, traits: Traits) -> None:
        self.traits = traits

    def __call__(self, classifier: Any, **params: Any) -> Any:
        if "nonsense" in params:
            raise TypeError("unexpected keyword argument 'nonsense'")
        return classifier, params


def arguments(traits: Traits, *given: Any, **options: Any) -> Any:
    return make_attack(Entry(traits), *given, **options)


def test_the_seed_goes_to_random_attacks_only() -> None:
    assert arguments(Traits("control", random=True), [FIRST], {}, seed=3) == (
        FIRST,
        {"random_state": 3},
    )
    assert arguments(Traits("control"), [FIRST], {}, seed=3) == (FIRST, {})


def test_further_classifiers_are_surrogates() -> None:
    traits = Traits("per-image", "image", "many", targeted=True)
    assert arguments(traits, [], {}) == (None, {})
    assert arguments(traits, [FIRST, SECOND, THIRD], {"eps": 0.1}, targeted=True) == (
        FIRST,
        {"surrogates": (SECOND, THIRD), "targeted": True, "eps": 0.1},
    )


def test_given_parameters_come_before_those_of_the_harness() -> None:
    found = arguments(Traits("control", random=True), [], {"random_state": 7}, seed=3)
    assert found == (None, {"random_state": 7})


def test_a_refused_argument_is_one_sentence() -> None:
    with pytest.raises(PriemoError, match=r"the attack refuses its parameters: .*'nonsense'"):
        arguments(Traits("control"), [], {"nonsense": 1})


def test_an_unknown_parameter_is_told_with_what_is_near() -> None:
    class Made:
        traits = Traits("control", random=True)
        attack_params = ("radius", "steps", "random_state")

        def __init__(self, classifier: Any, *, steps: int = 1, random_state: int = 0) -> None:
            self.after = steps + 1

    with pytest.raises(PriemoError, match=r"no parameter is called 'stepz'; did you mean steps\?"):
        make_attack(Made, [], {"stepz": 1})  # type: ignore[arg-type]
    with pytest.raises(PriemoError, match=r"'what'; known: radius, steps$"):
        make_attack(Made, [], {"what": 1})  # type: ignore[arg-type]
    with pytest.raises(PriemoError, match="refuses its parameters: can only concatenate str"):
        make_attack(Made, [], {"steps": "five"})  # type: ignore[arg-type]


def test_progress_bars_are_off() -> None:
    class Verbose:
        attack_params = ("verbose",)
        verbose = True

        def set_params(self, **params: Any) -> None:
            self.verbose = params["verbose"]

    class VerboseEntry(Entry):
        def __call__(self, classifier: Any, **params: Any) -> Any:
            return Verbose()

    made: Any = make_attack(VerboseEntry(Traits("control")), [], {})
    assert made.verbose is False
