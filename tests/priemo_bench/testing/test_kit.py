"""The conformance kit itself: good ones pass, and each rule catches what it is there for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from art.attacks import EvasionAttack
from torch import Tensor

from priemo_bench import testing
from priemo_bench.contracts.attack import Traits
from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.image import check_images
from priemo_bench.testing import attacks as attack_rules
from priemo_bench.testing import victims as victim_rules
from priemo_bench.testing.attacks import toy_case


@pytest.mark.parametrize("channels", [1, 3])
def test_toy_victim_classifies_toy_faces(channels: int) -> None:
    x, y = testing.toy_faces(70, channels)
    assert (testing.toy_classifier(channels).predict(x).argmax(1) == y).all()


def test_toy_victim_conforms() -> None:
    testing.check_victim(testing.ToyVictim)


class Softmax(testing.ToyVictim):
    def head(self, f: Tensor) -> Tensor:
        return super().head(f).softmax(1)


class Masked(testing.ToyVictim):
    def embed(self, x: Tensor) -> Tensor:
        return super().embed(x + (x.round() - x).detach())  # straight through


class Training(testing.ToyVictim):
    def __init__(self) -> None:
        super().__init__()
        self.train()


class BatchNormed(testing.ToyVictim):
    def embed(self, x: Tensor) -> Tensor:
        return super().embed(x - x.mean(0))


class Random(testing.ToyVictim):
    def embed(self, x: Tensor) -> Tensor:
        return super().embed(x + 0.01 * torch.rand_like(x))


class BesideTheHead(testing.ToyVictim):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1


@pytest.mark.parametrize(
    ("victim", "rule"),
    [
        (Softmax, victim_rules.returns_logits),
        (Masked, victim_rules.gradient_is_correct),
        (Training, victim_rules.is_in_evaluation_mode),
        (BatchNormed, victim_rules.is_independent_of_the_batch),
        (Random, victim_rules.is_deterministic),
        (BesideTheHead, victim_rules.head_of_features_is_forward),
    ],
)
def test_broken_victims_are_caught(victim: Callable[[], Any], rule: Callable[[Any], None]) -> None:
    with pytest.raises(testing.Broken):
        rule(victim())


class Darken(EvasionAttack):
    """A conforming transform: multiplies by 1 - strength."""

    attack_params = [*EvasionAttack.attack_params, "strength"]
    _estimator_requirements = ()
    traits = Traits("transform", knob="strength", strengths=(0.05, 0.1, 0.2))

    def __init__(self, classifier: Any = None, strength: float = 0.1) -> None:
        super().__init__(estimator=classifier)
        self.strength = strength

    @classmethod
    def is_estimator_valid(cls, estimator: Any, estimator_requirements: Any) -> bool:
        return True

    def generate(self, x: Any, y: Any = None, **kwargs: Any) -> Any:
        return check_images(x) * np.float32(1 - self.strength)


def test_conforming_attack_passes() -> None:
    testing.check_attack(Darken)


class InPlace(Darken):
    def generate(self, x: Any, y: Any = None, **kwargs: Any) -> Any:
        x *= 0.9
        return x


class Outside(Darken):
    def generate(self, x: Any, y: Any = None, **kwargs: Any) -> Any:
        return x - 1


class Double(Darken):
    def generate(self, x: Any, y: Any = None, **kwargs: Any) -> Any:
        return x.astype(np.float64)


class OverBatch(Darken):
    def generate(self, x: Any, y: Any = None, **kwargs: Any) -> Any:
        return x * (x.mean() / 1.2)


class Stuck(Darken):
    def generate(self, x: Any, y: Any = None, **kwargs: Any) -> Any:
        return x * np.float32(0.9)


class Unseeded(Darken):
    def generate(self, x: Any, y: Any = None, **kwargs: Any) -> Any:
        return np.random.default_rng().permuted(x, axis=-1)


class OverBudget(Darken):
    traits = Traits("control", budgeted=True)

    def __init__(self, classifier: Any = None, ssim_floor: Any = None, eps: Any = None) -> None:
        super().__init__(classifier)


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        (Outside, attack_rules.keeps_the_image_contract),
        (Double, attack_rules.keeps_the_image_contract),
        (OverBatch, attack_rules.is_independent_of_the_batch),
        (Stuck, attack_rules.knob_changes_strength),
        (Stuck, attack_rules.refuses_bad_images),
        (Unseeded, attack_rules.is_reproducible),
        (OverBudget, attack_rules.meets_its_budget),
    ],
)
def test_broken_attacks_are_caught(entry: Any, rule: Callable[[testing.AttackCase], None]) -> None:
    with pytest.raises(testing.Broken):
        rule(toy_case(entry))


def test_modified_input_is_caught() -> None:
    with pytest.raises(ValueError, match="read-only"):
        attack_rules.does_not_modify_its_input(toy_case(InPlace))


class Shuffled(testing.ToyVictim):
    """Its outputs stand in another order."""

    def head(self, f: Tensor) -> Tensor:
        return super().head(f)[:, [1, 0, 2, 3, 4, 5, 6]]


def _labelled(n: int = 70) -> FaceSet:
    x, y = testing.toy_faces(n)
    ids = np.array([f"{i:03}" for i in range(n)])
    return FaceSet("toys", "test", np.rint(x * 255).astype(np.uint8), y, ids, ids)


def test_labels_in_another_order_are_caught() -> None:
    victim_rules.labels_are_in_order(testing.ToyVictim(), _labelled())
    with pytest.raises(testing.Broken, match="angry faces are predicted as disgust"):
        victim_rules.labels_are_in_order(Shuffled(), _labelled())


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
