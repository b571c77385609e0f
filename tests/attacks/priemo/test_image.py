"""Scope image: optima known in closed form, restarts, input diversity, several surrogates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from priemo_bench.attacks.priemo import PriEMO, geometry
from priemo_bench.contracts.image import publish, to_float
from priemo_bench.contracts.predict import margin
from priemo_bench.quality.budget import Budget, match_budget
from priemo_bench.quality.structural import SSIMReference

SIDE, CLASSES = 16, 3
"""Of the faces and classifiers in conftest.py."""


def wrap(model: nn.Module, clip: tuple[float, float] = (0.0, 1.0)) -> PyTorchClassifier:
    return PyTorchClassifier(
        model, nn.CrossEntropyLoss(), (1, SIDE, SIDE), CLASSES, clip_values=clip, device_type="cpu"
    )


def make(classifier: Any, **params: Any) -> PriEMO:
    return PriEMO(classifier, **{"verbose": False, "random_state": 0, **params})


def test_linear_model_linf_optimum_is_the_sign_of_the_weights() -> None:
    """Two classes, linear: the best perturbation of size eps is -eps * sign(w_own - w_other)."""
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 2))
    classifier = PyTorchClassifier(
        linear, nn.CrossEntropyLoss(), (1, SIDE, SIDE), 2, clip_values=(0, 1), device_type="cpu"
    )
    x = np.full((4, 1, SIDE, SIDE), 128 / 255, np.float32)
    y = np.array([0, 0, 1, 1])
    attack = make(classifier, scope="image", ssim_floor=None, eps=4 / 255, loss="logit", steps=8)
    protected = attack.generate(x, y)
    w = linear[1].weight.detach().numpy()
    for image, label in zip(protected - x, y, strict=True):
        best = -4 / 255 * np.sign(w[label] - w[1 - label]).reshape(1, SIDE, SIDE)
        assert np.abs(image - best).max() < 1e-6


def test_linear_model_ssim_optimum_is_nearly_reached() -> None:
    """The closed form: the steepest direction in the metric, matched to the floor."""
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(48 * 48, 2))
    classifier = PyTorchClassifier(
        linear, nn.CrossEntropyLoss(), (1, 48, 48), 2, clip_values=(0, 1), device_type="cpu"
    )
    rng = np.random.default_rng(0)
    x = to_float(publish(rng.uniform(0.2, 0.8, (3, 1, 48, 48)).astype(np.float32)))
    y = np.zeros(3, int)
    attack = make(classifier, scope="image", ssim_floor=0.997, eps=None, loss="logit")
    w = (linear[1].weight[0] - linear[1].weight[1]).detach().reshape(1, 1, 48, 48)
    cost = 1 / (2 * SSIMReference(torch.from_numpy(x)).variance + 0.03**2)
    best = x - (w / cost).numpy() * 100
    scaled = x + (best - x) / np.abs(best - x).max() * 0.15
    matched = match_budget(publish(x), scaled.clip(0, 1).astype(np.float32), Budget(0.997, None))
    gain = ((attack.generate(x, y) - x) * w.numpy()).sum((1, 2, 3))
    known = ((to_float(matched) - x) * w.numpy()).sum((1, 2, 3))
    assert (gain < 0).all()
    assert (gain <= 0.95 * known).all()


def test_targeted_reaches_the_target(classifier: Any, faces: np.ndarray) -> None:
    target = np.full(len(faces), 1)
    attack = make(classifier, scope="image", targeted=True, ssim_floor=None, eps=0.2)
    protected = attack.fit(faces, target).generate(faces, target)
    assert (classifier.predict(protected).argmax(1) == 1).mean() > 0.95


def test_several_surrogates_are_all_fooled(model: Any, faces: np.ndarray) -> None:
    one, two = wrap(model), wrap(model)
    attack = make(one, scope="image", ssim_floor=None, eps=0.2, surrogates=(two,))
    protected = attack.fit(faces).generate(faces)
    for classifier in (one, two):
        clean = classifier.predict(faces).argmax(1)
        assert (classifier.predict(protected).argmax(1) != clean).mean() > 0.9


class LocalMinimum(nn.Module):
    """Class 1 is nearest to the own class 0 but saturates below it; class 2 is reachable."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(CLASSES, CLASSES, bias=False)
        self.fc.weight.data = torch.eye(CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = x[..., : SIDE // 2].mean((1, 2, 3)), x[..., SIDE // 2 :].mean((1, 2, 3))
        near = 0.9 + (left - 0.5).clamp(-0.01, 0.01)
        out: torch.Tensor = self.fc(
            torch.stack([torch.ones_like(left), near, 60 * (right - 0.5)], 1)
        )
        return out


def test_restarts_find_the_reachable_emotion() -> None:
    classifier, grey = wrap(LocalMinimum()), np.full((2, 1, SIDE, SIDE), 128 / 255, np.float32)
    own = np.zeros(2, np.int64)
    bounds: dict[str, Any] = {"scope": "image", "loss": "logit", "ssim_floor": None, "eps": 8 / 255}
    stuck = make(classifier, restarts=0, **bounds).generate(grey, own)
    assert (classifier.predict(stuck).argmax(1) == 0).all()
    free = make(classifier, restarts=2, **bounds).generate(grey, own)
    assert (classifier.predict(free).argmax(1) == 2).all()


def test_a_target_that_is_far_gets_more_steps(classifier: Any, faces: np.ndarray) -> None:
    target = np.full(len(faces), 1)

    def reached(restarts: int, steps: int) -> np.ndarray:
        attack = make(
            classifier, scope="image", targeted=True, ssim_floor=0.985, eps=None, steps=steps,
            restarts=restarts,
        )  # fmt: skip
        protected = attack.fit(faces, target).generate(faces, target)
        return np.asarray(classifier.predict(protected).argmax(1))

    few, again, many = reached(0, 2), reached(1, 2), reached(0, 8)
    assert np.array_equal(again == 1, (few == 1) | (many == 1))
    assert (again == 1).sum() > (few == 1).sum()


class Mirrored(nn.Module):
    """A classifier that flips its input."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.model(x.flip(-1))
        return out


def test_diversity_helps_on_a_classifier_of_mirrored_faces(model: Any) -> None:
    classifier, other = wrap(model), wrap(Mirrored(model))
    symmetric = 0.5 * (model.templates + model.templates.view(-1, SIDE, SIDE).flip(-1).flatten(1))
    x = to_float(publish((0.5 + 2 * symmetric.view(-1, 1, SIDE, SIDE)).numpy()))
    y = classifier.predict(x).argmax(1)
    assert np.array_equal(y, other.predict(x).argmax(1))
    bounds: dict[str, Any] = {
        "scope": "image",
        "loss": "logit",
        "ssim_floor": None,
        "eps": 16 / 255,
    }

    def margins(diversity: float) -> np.ndarray:
        protected = make(classifier, diversity=diversity, confidence=9.0, **bounds).generate(x, y)
        assert Budget(None, 16 / 255).holds(publish(x), publish(protected)).all()
        logits = other.predict(protected)
        own = np.take_along_axis(logits, y[:, None], 1)[:, 0]
        np.put_along_axis(logits, y[:, None], -np.inf, 1)
        return own - logits.max(1)

    assert margins(1.0).mean() < margins(0.0).mean()


def test_confidence_lowers_margins_beyond_the_boundary(
    model: Any, other_model: Any, faces: np.ndarray
) -> None:
    """Far above the clean margins the loss is linear, so that their sum falls most."""
    pair = wrap(model), wrap(other_model)
    predicted = [c.predict(faces).argmax(1) for c in pair]
    x, y = faces[predicted[0] == predicted[1]], predicted[0][predicted[0] == predicted[1]]

    def margins(confidence: float) -> float:
        attack = make(
            pair[0], scope="image", loss="logit", restarts=0, surrogates=(pair[1],),
            ssim_floor=None, eps=0.1, confidence=confidence,
        )  # fmt: skip
        protected = attack.generate(x, y)
        sizes = [vectors.logit_scale for vectors in attack._objective.vectors]
        logits = [torch.from_numpy(c.predict(protected)) for c in pair]
        own = torch.from_numpy(y)
        parts = [margin(z, own) / size for z, size in zip(logits, sizes, strict=True)]
        return float(sum(part.mean() for part in parts))

    assert margins(20.0) < margins(0.0)


def test_the_budget_holds_in_double_precision(
    classifier: Any, faces: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geometry, "SINGLE_PRECISION", -0.2)  # the descent takes a fifth too much
    attack = make(classifier, scope="image", ssim_floor=0.99, eps=None)
    protected = attack.fit(faces).generate(faces)
    assert Budget(0.99, None).holds(publish(faces), publish(protected)).all()
