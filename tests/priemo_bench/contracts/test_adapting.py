"""A stranger's attacks, victims and defenses, as they come."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from art.attacks.attack import EvasionAttack
from art.attacks.evasion import FastGradientMethod
from art.estimators.classification import PyTorchClassifier
from torch import nn

from priemo_bench import registry
from priemo_bench.contracts.adapting import attack_entry, called, victim_entry
from priemo_bench.contracts.attack import make_attack
from priemo_bench.contracts.defense import described
from priemo_bench.errors import PriemoError
from priemo_bench.testing import toy_classifier, toy_faces

EPS = 8 / 255


@pytest.fixture(scope="module")
def classifier() -> Any:
    return toy_classifier()


def shift(x: Any, eps: float = EPS) -> Any:
    """Every pixel is made lighter."""
    return np.clip(x + eps, 0, 1)


def step(images: Any, labels: Any, model: Any, eps: float = EPS) -> Any:
    x = images.clone().requires_grad_()
    nn.functional.cross_entropy(model(x), labels).backward()
    return (images + eps * x.grad.sign()).clamp(0, 1)


class Stranger(EvasionAttack):  # type: ignore[misc]
    attack_params = [*EvasionAttack.attack_params, "eps"]
    _estimator_requirements = ()

    def __init__(self, estimator: Any, eps: float = EPS) -> None:
        super().__init__(estimator=estimator)
        self.eps = eps

    def generate(self, x: Any, y: Any = None, **kwargs: Any) -> Any:
        return np.clip(x + self.eps * np.sign(self.estimator.loss_gradient(x, np.eye(7)[y])), 0, 1)


def run(thing: Any, classifier: Any, **params: Any) -> Any:
    entry = attack_entry(thing, "attack 'it'")
    x, y = toy_faces(7)
    used = [] if entry.traits.surrogates == "none" else [classifier]
    return entry, make_attack(entry, used, params).generate(x, y) - x


def test_a_function_of_arrays_needs_no_model(classifier: Any) -> None:
    entry, change = run(shift, classifier, eps=4 / 255)
    assert (entry.traits.surrogates, entry.traits.knob) == ("none", "eps")
    assert change.max() == pytest.approx(4 / 255, abs=1e-6)


def test_lists_describe_it_in_its_own_words() -> None:
    lighter = attack_entry(shift, "attack 'it'")
    assert (lighter.summary, lighter.source) == ("Every pixel is made lighter.", __name__)
    (found, first), *_ = (described(e) for e in (attack_entry(FastGradientMethod, ""), lighter))
    assert found.startswith("This attack")
    assert first.startswith("art.attacks.evasion")


def test_a_function_of_tensors_is_fgsm(classifier: Any) -> None:
    entry, change = run(step, classifier)
    assert entry.traits.surrogates == "one"
    x, y = toy_faces(7)
    fgsm = FastGradientMethod(classifier, eps=EPS).generate(x, np.eye(7)[y])
    np.testing.assert_allclose(x + change, fgsm, atol=1e-6)


@pytest.mark.parametrize("as_object", [False, True])
def test_a_class_of_art_and_its_object(classifier: Any, as_object: bool) -> None:
    thing: Any = FastGradientMethod(classifier, eps=2 / 255) if as_object else FastGradientMethod
    entry, change = run(thing, classifier, **({} if as_object else {"eps": 2 / 255}))
    assert entry.traits.knob == "eps"
    assert entry.traits.targeted
    assert np.abs(change).max() == pytest.approx(2 / 255, abs=1e-6)


def test_a_strangers_class_of_art(classifier: Any) -> None:
    entry, change = run(Stranger, classifier)
    assert (entry.traits.family, entry.traits.surrogates) == ("per-image", "one")
    x, y = toy_faces(7)
    expected = FastGradientMethod(classifier, eps=EPS).generate(x, np.eye(7)[y])
    np.testing.assert_allclose(x + change, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["art:FastGradientMethod", "torchattacks:FGSM"])
def test_other_packages_by_name(classifier: Any, name: str) -> None:
    pytest.importorskip(name.partition(":")[0])
    entry = registry.get("attacks", name)
    x, y = toy_faces(7)
    found = make_attack(entry, [classifier], {"eps": EPS}).generate(x, y)
    expected = FastGradientMethod(classifier, eps=EPS).generate(x, np.eye(7)[y])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_torchattack_by_name(classifier: Any) -> None:
    pytest.importorskip("torchattack")
    x, y = toy_faces(7)
    found = make_attack(registry.get("attacks", "torchattack:FGSM"), [classifier], {}).generate(
        x, y
    )
    expected = FastGradientMethod(classifier, eps=EPS).generate(x, np.eye(7)[y])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    model_class = attack_entry(importlib.import_module("torchattack").FGSM, "attack 'it'")
    assert model_class.traits.targeted
    goal = (y + 1) % 7
    found = make_attack(model_class, [classifier], {"eps": EPS}, targeted=True).generate(x, goal)
    expected = FastGradientMethod(classifier, eps=EPS, targeted=True).generate(x, np.eye(7)[goal])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    with pytest.raises(PriemoError, match="did you mean MIFGSM"):
        registry.get("attacks", "torchattack:MIFGMS")


class Recording(nn.Module):
    """Logits linear in the pixels; keeps the largest batch it saw."""

    def __init__(self) -> None:
        super().__init__()
        drawn = torch.Generator().manual_seed(0)
        self.weights = nn.Parameter(torch.randn(3 * 8 * 8, 7, generator=drawn))
        self.largest = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.largest = max(self.largest, len(x))
        return x.flatten(1) @ self.weights


@pytest.mark.parametrize("name", ["PGD", "Admix"])
@pytest.mark.parametrize("targeted", [False, True])
def test_the_margin_of_torchattacks_that_repeat_the_batch(name: str, targeted: bool) -> None:
    """One step along the sign of the margin's gradient, which a linear model has everywhere."""
    pytest.importorskip("torchattack")
    model = Recording()
    classifier = PyTorchClassifier(model, nn.CrossEntropyLoss(), (3, 8, 8), 7, clip_values=(0, 1))
    x = np.full((2, 3, 8, 8), 0.5, np.float32)
    y = np.array([0, 3])
    few = {"Admix": {"portion": 0.0, "size": 2}, "PGD": {"random_start": False}}[name]
    params = {"eps": 1e-3, "steps": 1, "loss": "margin", **few}
    entry = registry.get("attacks", f"torchattack:{name}")
    found = make_attack(entry, [classifier], params, targeted=targeted).generate(x, y) - x
    logits = torch.tensor(x).flatten(1) @ model.weights
    own = nn.functional.one_hot(torch.tensor(y), 7).bool()
    rival = logits.masked_fill(own, -torch.inf).argmax(1)
    slope = (model.weights[:, rival] - model.weights[:, torch.tensor(y)]).T.reshape(x.shape)
    np.testing.assert_allclose(
        found, np.sign(slope.detach().numpy()) * (-1e-3 if targeted else 1e-3), atol=1e-6
    )
    assert name != "Admix" or model.largest == 20


def test_torchattacks_that_need_three_channels_get_them() -> None:
    pytest.importorskip("torchattack")
    pytest.importorskip("torchattacks")
    model = nn.Sequential(nn.Flatten(), nn.Linear(16 * 16, 7))
    grey = PyTorchClassifier(model, nn.CrossEntropyLoss(), (1, 16, 16), 7, clip_values=(0, 1))
    x = np.random.default_rng(0).random((2, 1, 16, 16), np.float32)
    found = make_attack(registry.get("attacks", "torchattack:TIFGSM"), [grey], {}).generate(x)
    assert found.shape == x.shape
    assert (found != x).any()


@pytest.mark.parametrize("name", ["SSA", "SSP", "SGM", "NAA", "BFA", "ILPD", "FIA", "MIG"])
def test_torchattacks_that_cannot_run_say_why(classifier: Any, name: str) -> None:
    """And none of them reaches for the network."""
    pytest.importorskip("torchattack")
    params = {"loss": "margin"} if name == "MIG" else {}
    with pytest.raises(PriemoError, match=f"{name} of torchattack (cannot be|reads a|has a loss)"):
        make_attack(registry.get("attacks", f"torchattack:{name}"), [classifier], params)


def test_gra_of_torchattack_is_not_targeted(classifier: Any) -> None:
    pytest.importorskip("torchattack")
    with pytest.raises(PriemoError, match="cannot be targeted"):
        make_attack(registry.get("attacks", "torchattack:GRA"), [classifier], {}, targeted=True)


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (3, "is a int; an attack is an ART EvasionAttack"),
        (lambda a, b: a, "has a parameter x"),
        (lambda x, strength: x, "needs strength; give it a default"),
        (nn.Linear, "no EvasionAttack of ART"),
    ],
)
def test_what_is_no_attack(thing: Any, words: str) -> None:
    with pytest.raises(PriemoError, match=words):
        attack_entry(thing, "attack 'it'")


def test_a_module_a_class_and_a_function_as_victims() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(3 * 16, 7)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.last(nn.functional.adaptive_avg_pool2d(x, 4).flatten(1))
            return found

    x = torch.rand(2, 3, 32, 32)
    net = Net()
    torch.testing.assert_close(victim_entry(net, "victim 'it'")()(x), net(x))
    assert victim_entry(Net, "victim 'it'")()(x).shape == (2, 7)
    with pytest.raises(PriemoError, match="a class that needs in_features, out_features"):
        victim_entry(nn.Linear, "victim 'it'")


def test_a_class_of_defenses_is_called() -> None:
    class Half:
        def __call__(self, x: Any) -> Any:
            return x / np.float32(510)

    assert isinstance(called(Half, "defense 'half'"), Half)
    with pytest.raises(PriemoError, match="must be callable"):
        called(3, "defense 'it'")


def test_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_OWN", {})
    file = tmp_path / "mine.py"
    file.write_text("def shift(x, eps=8 / 255):\n    return (x + eps).clip(0, 1)\n")
    assert registry.adopt("attacks", f"{file}:shift") == "shift"
    assert registry.adopt("attacks", f"other={file}:shift") == "other"
    assert registry.get("attacks", "other").traits.knob == "eps"
    other = tmp_path / "more.py"
    other.write_text("def shift(x):\n    return x\n")
    with pytest.raises(PriemoError, match="would both be attack 'shift'; name one of them"):
        registry.adopt("attacks", f"{other}:shift")
    with pytest.raises(PriemoError, match="is there already, in package priemo-bench"):
        registry.adopt("attacks", f"pgd={file}:shift")
    with pytest.raises(PriemoError, match="did you mean shift"):
        registry.get("attacks", f"{file}:shitf")
    with pytest.raises(PriemoError, match="does not exist"):
        registry.adopt("attacks", "missing.py:shift")
    with pytest.raises(PriemoError, match="cannot be called so"):
        registry.adopt("attacks", ("a,b", shift))
    with pytest.raises(PriemoError, match="two attacks are called 'shift'"):
        registry.adopt_all("attacks", [shift, shift])
    with pytest.raises(PriemoError, match="it must be several"):
        registry.adopt_all("attacks", "pgd")
    file.write_text("raise SystemExit(3)\n")
    with pytest.raises(PriemoError, match="cannot be imported: SystemExit: 3"):
        registry.get("attacks", "other")
