"""Every baseline that the registry lists keeps the contract of an attack.

Those of Pri-EMO, GAP, the cloaks and the transfer attacks have tests of their own.
"""

from __future__ import annotations

import importlib.util
import random
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from art.attacks.attack import EvasionAttack
from art.estimators.classification import PyTorchClassifier

from priemo_bench import registry
from priemo_bench.attacks.torchattacks_adapter import TorchAttack
from priemo_bench.contracts.attack import Traits
from priemo_bench.errors import PriemoError

ENTRIES = {name: registry.get("attacks", name) for name in registry.names("attacks")}
TRAITS: dict[str, Traits] = {name: entry.traits for name, entry in ENTRIES.items()}
TRANSFER = {"adaea", "cwa", "mef", "ops", "pgn", "sia", "smer", "ssa-cwa", "svre"}
ELSEWHERE = {"gap", "fawkes", "tip-im"} | {n for n in TRAITS if n.startswith("priemo-")} | TRANSFER
BASELINES = [n for n in TRAITS if n not in ELSEWHERE]
MODEL_FREE = [n for n in BASELINES if TRAITS[n].surrogates == "none"]
UNIVERSAL = [n for n in BASELINES if TRAITS[n].family == "universal"]
PER_IMAGE = [n for n in BASELINES if TRAITS[n].family == "per-image"]
BY_GRADIENT = [n for n in UNIVERSAL if TRAITS[n].surrogates == "many"]
TORCHATTACKS = [n for n in PER_IMAGE if getattr(ENTRIES[n], "attack", None) is TorchAttack]
WITH_EPS = [n for n in BASELINES if TRAITS[n].knob == "eps"]
FEW = {
    "pgd": {"max_iter": 3}, "apgd": {"max_iter": 3}, "ddn": {"steps": 6},
    **{name: {"steps": 3} for name in TORCHATTACKS}, "vmifgsm": {"steps": 2},
    "sinifgsm": {"steps": 2},
    **{name: {"max_iter": 1} for name in UNIVERSAL},
    **{name: {"passes": 4} for name in BY_GRADIENT},
}  # fmt: skip
"""Few steps or passes: the contract holds for any number."""


def make(name: str, classifier: Any, **params: Any) -> EvasionAttack:
    if name in TORCHATTACKS and importlib.util.find_spec("torchattacks") is None:
        pytest.skip("torchattacks is not installed")
    seed = {"random_state": 0} if TRAITS[name].random else {}
    where = None if name in MODEL_FREE else classifier
    return ENTRIES[name](where, **{**seed, **FEW.get(name, {}), **params})


def test_no_group_is_empty() -> None:
    assert set(MODEL_FREE) | set(PER_IMAGE) | set(UNIVERSAL) == set(BASELINES)
    assert {"aes-ctr", "noise", "occlude"} <= set(MODEL_FREE)
    assert {"fgsm", "pgd", "ddn"} <= set(PER_IMAGE)
    assert {"mifgsm", "pgd-torchattacks"} <= set(TORCHATTACKS)
    assert {"uap", "sga", "opom"} <= set(UNIVERSAL)


@pytest.mark.parametrize("name", BASELINES)
def test_contract(name: str, classifier: PyTorchClassifier, x: np.ndarray) -> None:
    before = x.copy()
    x.setflags(write=False)
    attack = make(name, classifier)
    protected = attack.generate(x)
    assert isinstance(attack, EvasionAttack)
    assert protected.shape == x.shape
    assert protected.dtype == np.float32
    assert protected.min() >= 0
    assert protected.max() <= 1
    assert not np.shares_memory(protected, x)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("name", WITH_EPS)
def test_stays_within_eps(name: str, classifier: PyTorchClassifier, x: np.ndarray) -> None:
    protected = make(name, classifier, eps=3 / 255).generate(x)
    assert np.abs(protected - x).max() <= 3 / 255 + 1e-6


@pytest.mark.parametrize("name", PER_IMAGE)
def test_labels_may_be_numbers_or_one_hot(
    name: str, classifier: PyTorchClassifier, x: np.ndarray
) -> None:
    y = np.arange(len(x)) % 7
    for targeted in (False, True):
        attack = make(name, classifier, targeted=targeted)
        protected = [attack.generate(x, form) for form in (y, y[:, None], np.eye(7)[y])]
        np.testing.assert_array_equal(protected[0], protected[1])
        np.testing.assert_array_equal(protected[0], protected[2])


@pytest.mark.parametrize("name", PER_IMAGE)
def test_without_labels_the_clean_predictions_are_taken(
    name: str, classifier: PyTorchClassifier, x: np.ndarray
) -> None:
    attack = make(name, classifier)
    predicted = classifier.predict(x).argmax(1)
    np.testing.assert_array_equal(attack.generate(x), attack.generate(x, predicted))


@pytest.mark.parametrize("name", BASELINES)
def test_seed_decides_and_global_generators_are_restored(
    name: str, classifier: PyTorchClassifier, x: np.ndarray
) -> None:
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    first, again = (make(name, classifier).generate(x) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    if TRAITS[name].random:
        assert random.getstate() == states[0]
        np.testing.assert_array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
        assert torch.equal(torch.get_rng_state(), states[2])
    if name in {"aes-ctr", "cat-map", "etc", "noise", "vmifgsm", "tifgsm", "opom"}:
        assert np.any(make(name, classifier, random_state=1).generate(x) != first)


@pytest.mark.parametrize("name", BASELINES)
def test_art_parameters(name: str, classifier: PyTorchClassifier) -> None:
    attack = make(name, classifier)
    for parameter in attack.attack_params:
        if parameter != "summary_writer":
            assert f"{parameter}=" in repr(attack)
    with pytest.raises(ValueError, match="cannot be set"):
        attack.set_params(no_such_parameter=1)
    knob = attack.traits.knob if hasattr(attack, "traits") else "eps"
    if knob:
        with pytest.raises(PriemoError, match=knob):
            attack.set_params(**{knob: -1})


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize(
    "bad",
    [np.full((2, 1, 32, 32), np.nan), np.full((2, 1, 32, 32), 3.0), np.zeros((32, 32)),
     np.zeros((2, 1, 32, 32), np.uint8), np.zeros((0, 1, 32, 32))],
    ids=["nan", "range", "rank", "bytes", "empty"],
)  # fmt: skip
def test_bad_images(name: str, classifier: PyTorchClassifier, bad: np.ndarray) -> None:
    with pytest.raises(PriemoError, match=r"^x "):
        make(name, classifier).generate(bad)


@pytest.mark.parametrize("name", WITH_EPS)
@pytest.mark.parametrize("eps", [0, -0.1, 8.0, float("nan")])
def test_bad_eps(name: str, classifier: PyTorchClassifier, eps: float) -> None:
    with pytest.raises(PriemoError, match="eps"):
        make(name, classifier, eps=eps)


@pytest.mark.parametrize("name", [*PER_IMAGE, *UNIVERSAL])
def test_bad_labels(name: str, classifier: PyTorchClassifier, x: np.ndarray) -> None:
    for y in (np.full(len(x), 7), np.zeros(len(x) + 1, int), np.full(len(x), 0.5)):
        with pytest.raises(PriemoError, match=r"^y "):
            make(name, classifier).generate(x, y)
    if TRAITS[name].targeted:
        with pytest.raises(PriemoError, match=r"targets? as y"):
            make(name, classifier, targeted=True).generate(x)


@pytest.mark.parametrize("name", [n for n in BASELINES if n not in UNIVERSAL])
def test_strengths_go_from_weak_to_strong(
    name: str, classifier: PyTorchClassifier, x: np.ndarray
) -> None:
    traits = TRAITS[name]
    if traits.knob is None:
        assert traits.strengths == ()
        return
    changes = [
        float(((make(name, classifier, **{traits.knob: s}).generate(x) - x) ** 2).mean())
        for s in traits.strengths
    ]
    assert all(a <= b * 1.02 for a, b in pairwise(changes)), changes
    assert changes[0] < changes[-1] / 5
