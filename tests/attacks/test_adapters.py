"""Attacks of ART and torchattacks: closed-form optima, and three ways to the same PGD."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import timm
import torch
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
from art.defences.preprocessor import SpatialSmoothing
from art.estimators.classification import PyTorchClassifier
from art.exceptions import EstimatorError
from torch import nn

from priemo_bench.attacks.art_adapter import ArtAttack
from priemo_bench.attacks.base import temporary_seed
from priemo_bench.attacks.torchattacks_adapter import GRADIENT_ONLY, TorchAttack
from priemo_bench.contracts.image import publish
from priemo_bench.contracts.victim import as_art
from priemo_bench.errors import PriemoError

EPS = 8 / 255  # its quarter is whole grey levels: no ties when published
LOSSES = ["cross_entropy", "margin"]
WAYS = [
    (ArtAttack, "FastGradientMethod", {}),
    (ArtAttack, "ProjectedGradientDescent", {"max_iter": 10}),
    (TorchAttack, "PGD", {"steps": 10}),
    (TorchAttack, "MIFGSM", {"steps": 10}),
]
APGD = (ArtAttack, "AutoProjectedGradientDescent", {"max_iter": 10, "nb_random_init": 1})


@pytest.fixture(autouse=True)
def _torchattacks() -> None:
    pytest.importorskip("torchattacks")


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(("make", "attack", "params"), [*WAYS, APGD])
def test_linear_model_has_one_best_change(
    make: Any, attack: str, params: dict[str, Any], targeted: bool, loss: str,
    linear: PyTorchClassifier, linear_x: np.ndarray, optimum: np.ndarray,
) -> None:  # fmt: skip
    y = np.full(len(linear_x), int(targeted))
    made = make(linear, attack, eps=EPS, targeted=targeted, loss=loss, **params)
    change = made.generate(linear_x, y) - linear_x
    np.testing.assert_allclose(change, EPS * np.broadcast_to(optimum, change.shape), atol=1e-6)


def bare_pgd(model: nn.Module, x: np.ndarray, y: np.ndarray, loss: str, steps: int) -> np.ndarray:
    """Madry et al. 2018 without random start, written down once more."""
    start, labels = torch.from_numpy(x), torch.from_numpy(y)
    now = start.clone()
    for _ in range(steps):
        now.requires_grad_()
        logits = model(now)
        if loss == "margin":
            own = logits.gather(1, labels[:, None])[:, 0]
            rest = logits.scatter(1, labels[:, None], -torch.inf).max(1).values
            cost = (rest - own).sum()
        else:
            cost = nn.functional.cross_entropy(logits, labels, reduction="sum")
        (gradient,) = torch.autograd.grad(cost, now)
        step = now.detach() + EPS / 4 * gradient.sign()
        now = (start + (step - start).clamp(-EPS, EPS)).clamp(0, 1)
    return now.detach().numpy()


@pytest.fixture(scope="module")
def resnet() -> PyTorchClassifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model("test_resnet", num_classes=7)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):  # as after training: no two channels alike
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0, 0.3)
    return as_art(model, 3, 64)


@pytest.mark.parametrize("loss", LOSSES)
def test_pgd_is_the_same_by_all_three_ways(resnet: PyTorchClassifier, loss: str) -> None:
    rng = np.random.default_rng(0)
    x = (rng.integers(0, 256, (12, 3, 64, 64)) / 255).astype(np.float32)
    y = resnet.predict(x).argmax(1)
    common: dict[str, Any] = {"eps": EPS, "loss": loss, "batch_size": 12}
    ways = [
        ArtAttack(resnet, "ProjectedGradientDescent", max_iter=10, **common).generate(x, y),
        TorchAttack(resnet, "PGD", steps=10, **common).generate(x, y),
        bare_pgd(resnet.model, x, y, loss, 10),
    ]
    published = [publish(way) for way in ways]
    moved = (published[0] != publish(x)).mean()
    assert moved > 0.9
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert (published[i] == published[j]).mean() >= 0.99


def test_adapter_is_arts_own_attack(classifier: PyTorchClassifier, x: np.ndarray) -> None:
    y = np.arange(len(x)) % 7
    direct = FastGradientMethod(classifier, eps=0.02, batch_size=64).generate(x, y)
    np.testing.assert_array_equal(
        ArtAttack(classifier, "FastGradientMethod", 0.02).generate(x, y), direct
    )


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # ART's
@pytest.mark.parametrize(
    "params",
    [{}, {"targeted": True}, {"norm": "inf", "num_random_init": 1}, {"num_random_init": 3},
     {"norm": 2}, {"norm": 1}, {"decay": 0.9}, {"random_eps": True}, {"eps_step": 0.1}],
    ids=str,
)  # fmt: skip
def test_pgd_is_arts_own_bit_by_bit(
    classifier: PyTorchClassifier, x: np.ndarray, params: dict[str, Any]
) -> None:
    y, one_hot = np.arange(len(x)) % 7, np.eye(7, dtype=np.float32)
    common: dict[str, Any] = {"max_iter": 5, "batch_size": 4, **params}
    for labels in (y, None) if "targeted" not in params else (y,):
        with temporary_seed(0):
            own = ProjectedGradientDescent(
                classifier, **{"eps": EPS, "eps_step": EPS / 4, "verbose": False, **common}
            ).generate(x, None if labels is None else one_hot[labels])
        adapted = ArtAttack(classifier, eps=EPS, random_state=0, **common)
        np.testing.assert_array_equal(adapted.generate(x, labels), own.clip(0, 1))


def test_pgd_of_a_classifier_with_preprocessing_in_numpy(
    classifier: PyTorchClassifier, x: np.ndarray
) -> None:
    guarded = PyTorchClassifier(
        classifier.model, nn.CrossEntropyLoss(), x.shape[1:], 7, clip_values=(0, 1),
        preprocessing_defences=[SpatialSmoothing(3)], device_type="cpu",
    )  # fmt: skip
    y = np.eye(7, dtype=np.float32)[np.arange(len(x)) % 7]
    own = ProjectedGradientDescent(guarded, eps=EPS, eps_step=EPS / 4, max_iter=3, verbose=False)
    adapted = ArtAttack(guarded, eps=EPS, max_iter=3)
    np.testing.assert_array_equal(adapted.generate(x, y), own.generate(x, y))


def test_further_attacks_enter_by_name(classifier: PyTorchClassifier, x: np.ndarray) -> None:
    moved = ArtAttack(classifier, "DeepFool", max_iter=5).generate(x)
    assert (classifier.predict(moved).argmax(1) != classifier.predict(x).argmax(1)).any()
    assert TorchAttack(classifier, "NIFGSM", steps=2).generate(x).shape == x.shape


def test_batches_do_not_matter(classifier: PyTorchClassifier, x: np.ndarray) -> None:
    for make, attack, params in WAYS:
        whole, parts = (
            make(classifier, attack, batch_size=b, **params).generate(x) for b in (64, 4)
        )
        assert (publish(whole) == publish(parts)).mean() > 0.99


@pytest.mark.parametrize("random_start", [False, True])
def test_random_start_follows_the_seed(
    classifier: PyTorchClassifier, x: np.ndarray, random_start: bool
) -> None:
    one, again, other = (
        TorchAttack(classifier, "PGD", steps=1, random_state=s, random_start=random_start).generate(
            x
        )
        for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert np.any(one != other) == random_start


@pytest.mark.parametrize(("make", "attack", "params"), WAYS)
def test_no_gradient_leaves_the_image(
    make: Any, attack: str, params: dict[str, Any], x: np.ndarray
) -> None:
    class Constant(nn.Module):
        def forward(self, v: torch.Tensor) -> torch.Tensor:
            return v.flatten(1)[:, :7] * 0

    made = make(as_art(Constant(), x.shape[1], x.shape[2]), attack, **params)
    np.testing.assert_array_equal(made.generate(x), x)


@pytest.mark.parametrize("make", [ArtAttack, TorchAttack])
def test_bad_parameters_are_named(make: Any, classifier: PyTorchClassifier) -> None:
    with pytest.raises(PriemoError, match="is called 'PDG'"):
        make(classifier, "PDG")
    with pytest.raises(PriemoError, match="did you mean eps"):
        make(classifier, "FGSM" if make is TorchAttack else "FastGradientMethod", epsi=1)
    with pytest.raises(PriemoError, match="did you mean margin"):
        make(classifier, loss="margins")
    with pytest.raises(EstimatorError):
        make(object())


def test_unsupported_combinations_are_refused(classifier: PyTorchClassifier) -> None:
    with pytest.raises(PriemoError, match="DeepFool of ART cannot be targeted"):
        ArtAttack(classifier, "DeepFool", targeted=True)
    with pytest.raises(PriemoError, match="refuses its parameters"):
        ArtAttack(classifier, max_iter=-1)
    with pytest.raises(PriemoError, match="loss of its own"):
        TorchAttack(classifier, "CW", loss="margin")
    with pytest.raises(PriemoError, match="DeepFool of torchattacks cannot be targeted"):
        TorchAttack(classifier, "DeepFool", targeted=True)


def test_missing_torchattacks(
    classifier: PyTorchClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchattacks", None)
    with pytest.raises(PriemoError, match=r"pip install 'priemo-bench\[torchattacks\]'"):
        TorchAttack(classifier)


def test_gradient_only_attacks_exist() -> None:
    import torchattacks

    assert set(torchattacks.__all__) >= GRADIENT_ONLY
