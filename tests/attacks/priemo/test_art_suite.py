"""What ART's own test-suite asks of an evasion attack, on scikit-learn's digits."""

from __future__ import annotations

import os
import runpy
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from art.defences.preprocessor import JpegCompression, SpatialSmoothing
from art.estimators.classification import PyTorchClassifier
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from art.exceptions import EstimatorError
from sklearn.datasets import load_digits
from torch import nn

from priemo_bench import registry
from priemo_bench.attacks.priemo import PriEMO
from priemo_bench.contracts.attack import make_attack

SCOPES = ["image", "class", "universal"]
# ten digits have no feature vectors among the emotions of the embedded faces
pytestmark = pytest.mark.filterwarnings("ignore:the embedded faces give no feature vectors")


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    return np.kron(x, np.ones((2, 2), np.float32)), y


@pytest.fixture(scope="module")
def network(digits: tuple[np.ndarray, np.ndarray]) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 10))
    optimiser = torch.optim.Adam(model.parameters(), 0.01)
    x, y = (torch.from_numpy(a) for a in digits)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()
    return model


def classifier(network: nn.Module, **params: Any) -> PyTorchClassifier:
    return PyTorchClassifier(
        network, nn.CrossEntropyLoss(), (1, 16, 16), 10, clip_values=(0, 1), device_type="cpu",
        **params,
    )  # fmt: skip


def attack(estimator: Any, scope: str, **params: Any) -> PriEMO:
    return PriEMO(estimator, scope, verbose=False, random_state=0,
                  **{"ssim_floor": None, "eps": 0.3, **params})  # fmt: skip


@pytest.mark.parametrize("scope", SCOPES)
def test_untargeted_images(network: nn.Module, digits: Any, scope: str) -> None:
    """`back_end_untargeted_images`: x changed, in range, predictions changed, no y needed."""
    estimator, x = classifier(network), digits[0][:60]
    adversarial = attack(estimator, scope).generate(x)
    assert (adversarial != x).any()
    assert 0 <= adversarial.min() <= adversarial.max() <= 1
    assert np.abs(adversarial - x).max() <= 0.3 + 1e-6
    assert (estimator.predict(adversarial).argmax(1) != estimator.predict(x).argmax(1)).any()


def test_targeted_images(network: nn.Module, digits: Any) -> None:
    """`back_end_targeted_images`: at least half of the targets, one for each image."""
    estimator, x = classifier(network), digits[0][:100]
    targets = (digits[1][:100] + 1) % 10
    one_hot = np.eye(10)[targets]
    adversarial = attack(estimator, "image", targeted=True).generate(x, y=one_hot)
    assert (estimator.predict(adversarial).argmax(1) == targets).mean() >= 0.5


@pytest.mark.parametrize(
    "defence", [SpatialSmoothing, pytest.param(JpegCompression, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("scope", SCOPES)
def test_defended_images(network: nn.Module, digits: Any, scope: str, defence: Any) -> None:
    """`backend_test_defended_images`: changed, in range, labels not all equal."""
    arguments = {"clip_values": (0, 1), "channels_first": True}
    preprocessor = (
        defence(window_size=3, channels_first=True)
        if defence is SpatialSmoothing
        else (JpegCompression(**arguments))
    )
    estimator = classifier(network, preprocessing_defences=preprocessor)
    x, y = digits[0][:60], digits[1][:60]
    adversarial = attack(estimator, scope).generate(x)
    assert (adversarial != x).any()
    assert 0 <= adversarial.min() <= adversarial.max() <= 1
    assert (estimator.predict(adversarial).argmax(1) != y).any()


def test_a_class_without_the_estimator_interface_is_refused() -> None:
    """`backend_test_classifier_type_check_fail`."""

    class Other:
        pass

    with pytest.raises(EstimatorError):
        PriEMO(Other())
    assert {BaseEstimator, LossGradientsMixin} <= set(PriEMO._estimator_requirements)
    assert not any(isinstance(part, tuple) for part in PriEMO._estimator_requirements)


def test_parameters_are_set_checked_and_shown(network: nn.Module) -> None:
    made = attack(classifier(network), "image")
    with pytest.raises(ValueError, match="nonsense"):
        made.set_params(nonsense=1)
    made.set_params(steps=3)
    assert made.steps == 3
    assert {*PriEMO.attack_params, "restarts"} <= set(made.attack_params)
    for name in made.attack_params:
        assert hasattr(made, name)
        assert name in repr(made) or name == "summary_writer"


SOURCE = os.environ.get("PRIEMO_ART_SDIST", "")
"""Folder of ART's unpacked source distribution, which has its tests."""
HELPERS = (
    "back_end_untargeted_images", "backend_test_defended_images", "backend_masked_images",
    "backend_test_random_initialisation_images",
)  # fmt: skip
"""ART's helpers for attacks on images. Left out: `backend_targeted_images` (gives `x_init`, a
keyword of boundary attacks, which ours refuse), `backend_check_adverse_values` and `_frames`
(values of one attack of ART's), those for tables (`backend_*_tabular`), and
`backend_test_classifier_type_check_fail` (a test above)."""
UNIVERSAL = [
    name
    for name in registry.names("attacks")
    if name.startswith("priemo-") or registry.get("attacks", name).traits.family == "universal"
]
QUICK = {"gap": {"passes": 2}, "priemo-generator": {"steps": 10}, "uap": {"max_iter": 1}}


@pytest.fixture(scope="module")
def helpers() -> Any:
    """ART's `tests/attacks/utils.py`; Keras, which it only imports, need not be installed."""
    kept = {n: sys.modules.get(n) for n in ("keras", "keras.backend", "tests", "tests.utils")}
    for name in kept:
        sys.modules[name] = ModuleType(name)
    try:
        loaded = runpy.run_path(f"{SOURCE}/tests/utils.py")
        sys.modules["tests.utils"].__dict__.update(loaded)
        return runpy.run_path(f"{SOURCE}/tests/attacks/utils.py")
    finally:
        for name, module in kept.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module


@pytest.mark.slow
@pytest.mark.skipif(not SOURCE, reason="PRIEMO_ART_SDIST is not set: ART's unpacked sdist")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("helper", HELPERS)
@pytest.mark.parametrize("name", UNIVERSAL)
def test_arts_own_helpers(
    network: nn.Module, digits: Any, helpers: Any, name: str, helper: str
) -> None:
    """`PRIEMO_ART_SDIST=adversarial_robustness_toolbox-1.20.1 pytest -m slow -k arts_own`."""
    x, labels = digits
    y = np.eye(10, dtype=np.float32)[labels]
    entry = registry.get("attacks", name)
    bound = {"ssim_floor": None, "eps": 0.3} if entry.traits.budgeted else {"eps": 0.3}
    made = make_attack(entry, [classifier(network)], {**bound, **QUICK.get(name, {})})
    given = (x[:60], y[:60], x[60:120], y[60:120])
    helpers[helper](made, given, *(["pytorch"] if helper.startswith("back_end") else []))
