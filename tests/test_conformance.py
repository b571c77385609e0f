"""All that the registry lists keeps the rules of the conformance kit."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from priemo_bench import registry, testing
from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.errors import PriemoError
from priemo_bench.testing import Broken, attack_calls, toy_case


def _name(rule: Callable[..., None]) -> str:
    return rule.__name__


@cache
def _victim(name: str) -> Any:
    try:
        return registry.get("victims", name)()
    except PriemoError as error:
        if "not installed" not in str(error):
            raise
        pytest.skip(str(error))


SMOOTHED = {name for name in registry.names("victims") if "smoothed" in name}
"""They predict by a vote of 100, and the rules hold for any number."""


@pytest.mark.parametrize("rule", testing.VICTIM_RULES, ids=_name)
@pytest.mark.parametrize("name", registry.names("victims"))
def test_victim(name: str, rule: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch) -> None:
    if name in SMOOTHED:
        monkeypatch.setattr(_victim(name), "draws", 5)
    rule(_victim(name))


@cache
def _faces() -> FaceSet:
    return registry.get("datasets", "rendered")(None, None).split("test")


ON_FACES = [
    pytest.param(name, marks=[pytest.mark.slow] if name in SMOOTHED else [])
    for name in registry.names("victims")
]


@pytest.mark.parametrize("rule", testing.FACE_RULES, ids=_name)
@pytest.mark.parametrize("name", ON_FACES)
def test_victim_on_faces(name: str, rule: Callable[[Any, FaceSet], None]) -> None:
    rule(_victim(name), _faces())


FEWER = {
    "fawkes": {"steps": 15},
    "mef": {"steps": 5, "samples": 2},
    "ops": {"steps": 3, "noises": 1, "compositions": 2},
    "pgn": {"steps": 5, "samples": 2},
    "sia": {"steps": 5, "samples": 2},
    "smer": {"steps": 5, "rounds": 1},
    "ssa-cwa": {"steps": 3, "views": 2},
    "svre": {"steps": 5, "rounds": 1},
    "fi-uap-class": {"passes": 5},
    "gap": {"passes": 6},
    "opom": {"passes": 5},
    "priemo-class": {"steps": 25},
    "priemo-generator": {"steps": 3},
    "priemo-image": {"steps": 8},
    "priemo-logit": {"steps": 8},
    "priemo-pool": {"steps": 25, "members": 2},
    "priemo-survive": {"steps": 3, "restarts": 1},
    "priemo-universal": {"steps": 25},
    "sinifgsm": {"steps": 5},
    "uap": {"max_iter": 2},
    "uap-fgsm": {"max_iter": 2},
    "uap-pgd": {"max_iter": 2},
    "uap-targeted": {"max_iter": 2},
    "vmifgsm": {"steps": 5},
}
"""Fewer steps or passes than by default, where that saves time; the rules hold for any number."""


@cache
def _attack(name: str, channels: int) -> testing.AttackCase:
    return toy_case(registry.get("attacks", name), channels, **FEWER.get(name, {}))


# ART adds to its noise only when the inner attack changes a prediction: on the toy victim these
# three never do, so their noise stays zero (tests/attacks/test_art_universal.py has them work).
ZERO_ON_TOYS = {
    "uap-fgsm": {"knob_changes_strength", "depends_on_its_seed"},
    "uap-pgd": {"knob_changes_strength", "depends_on_its_seed"},
    "uap-targeted": {"knob_changes_strength", "depends_on_its_seed", "moves_towards_its_target"},
}
# They draw the order of their surrogates, and the toys have one.
ONE_ORDER = {"smer": {"depends_on_its_seed"}, "svre": {"depends_on_its_seed"}}


MANY_CALLS = {
    "keeps_no_state", "leaves_global_state_alone", "set_params_takes_effect", "takes_any_array",
    "takes_numpy_numbers", "works_without_grad_mode",
}  # fmt: skip
"""Rules that make an attack again, or call it many times."""
QUICK = {
    "aes-ctr", "blur", "brightness-contrast", "down-up", "etc", "fgsm", "fi-uap", "gd-uap", "jpeg",
    "noise", "nothing", "occlude", "pixelate",
}  # fmt: skip
"""Attacks that these rules take less than a second for; the others are for the slow run."""


SLOW = {"adaea", "cwa", "mef", "ops", "sia", "smer", "ssa-cwa"}
"""Attacks whose rules are for the slow run: one base, of which the fast run has pgn and svre."""


def _is_slow(name: str, rule: str, channels: int) -> bool:
    return name not in QUICK and (channels == 1 or rule in MANY_CALLS or name in SLOW)


def _attack_rules() -> list[Any]:
    """Every rule for every attack: what concerns its calls for RGB images only.

    In the fast run, grey images are for the QUICK ones.
    """
    return [
        pytest.param(
            name, rule, channels, id=f"{name}-{rule.__name__}-{word}",
            marks=[pytest.mark.slow] if _is_slow(name, rule.__name__, channels) else [],
        )
        for name in registry.names("attacks")
        for rule in testing.ATTACK_RULES
        for word, channels in (("grey", 1), ("rgb", 3))
        if channels == 3 or rule not in attack_calls.RULES
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "rule", "channels"), _attack_rules())
def test_attack(name: str, rule: Callable[[testing.AttackCase], None], channels: int) -> None:
    if rule.__name__ in {**ZERO_ON_TOYS, **ONE_ORDER}.get(name, ()):
        with pytest.raises(Broken):
            rule(_attack(name, channels))
    else:
        rule(_attack(name, channels))


SLOW = ("diffusion", "denoiser")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name.startswith(SLOW) else [])
     for name in registry.names("defenses")],
)  # fmt: skip
def test_defense(name: str) -> None:
    testing.check_defense(name)


LEARNED = ("face_found", "lpips", "same_person")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in LEARNED else [])
     for name in registry.names("metrics")],
)  # fmt: skip
def test_metric(name: str) -> None:
    try:
        testing.check_metric(name)
    except PriemoError as error:
        if "not installed" not in str(error):
            raise
        pytest.skip(str(error))
