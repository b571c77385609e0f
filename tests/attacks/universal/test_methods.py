"""The methods against closed forms, and their losses against the papers' formulas in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from scipy.optimize import minimize
from torch import Tensor, nn

from priemo_bench.attacks.surrogate import Surrogate
from priemo_bench.attacks.universal import UniversalAttack
from priemo_bench.attacks.universal.cos_uap import cosine
from priemo_bench.attacks.universal.df_uap import KAPPA, bounded_margin
from priemo_bench.attacks.universal.fi_uap import negative_distance
from priemo_bench.attacks.universal.gd_uap import negative_activation
from priemo_bench.attacks.universal.opom import project_onto_hull
from priemo_bench.attacks.universal.problem import Outputs
from priemo_bench.attacks.universal.sgd_uap import BETA, clamped_cross_entropy

EPS = 6 / 255
SIDE = 12


def made_up(seed: int = 0, targeted: bool = False, scale: float = 1.0) -> Outputs:
    """Made-up features (5, 4) and logits (5, 3)."""
    rng = torch.Generator().manual_seed(seed)
    f, z, clean_f, clean_z = (torch.randn(5, d, generator=rng) * scale for d in (4, 3, 4, 3))
    return Outputs(f, z, clean_f, clean_z, clean_f, torch.tensor([0, 1, 2, 0, 1]), targeted)


@pytest.mark.parametrize("method", ["sgd-uap", "sga", "df-uap"])
@pytest.mark.parametrize(("targeted", "y"), [(False, 0), (True, 1)])
def test_linear_model_has_one_best_perturbation(
    method: str, targeted: bool, y: int, linear: PyTorchClassifier, linear_x: np.ndarray,
    optimum: np.ndarray,
) -> None:  # fmt: skip
    attack = UniversalAttack(linear, method, eps=EPS, targeted=targeted, passes=48, random_state=0)
    attack.fit(linear_x, np.full(len(linear_x), y))
    np.testing.assert_allclose(attack.noise[0], EPS * optimum, atol=1e-6)
    assert attack.fooling_rate == 1
    assert attack.converged


class Angle(nn.Module):
    """Two features, (w . (x - 1/2), 1), which are the logits too: what turns them most is known."""

    def __init__(self) -> None:
        super().__init__()
        weight = torch.randn(SIDE * SIDE, generator=torch.Generator().manual_seed(2))
        self.weight = nn.Parameter(weight)

    def features(self, x: Tensor) -> Tensor:
        along = (x.flatten(1) - 0.5) @ self.weight
        return torch.stack([along, torch.ones_like(along)], 1)

    def head(self, f: Tensor) -> Tensor:
        return f

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


@pytest.mark.parametrize("method", ["cos-uap", "fi-uap"])
def test_the_largest_turn_is_along_the_weights(method: str) -> None:
    """From mid-grey both ends of the line are as far: +sign(w) or -sign(w)."""
    model, shape = Angle(), (1, SIDE, SIDE)
    classifier = PyTorchClassifier(model, nn.CrossEntropyLoss(), shape, 2, clip_values=(0, 1))
    x = np.full((4, *shape), 0.5, np.float32)
    attack = UniversalAttack(classifier, method, eps=EPS, passes=60, random_state=0)
    noise = attack.fit(x, np.zeros(4, int)).noise
    best = EPS * np.sign(model.weight.detach().numpy()).reshape(shape)
    assert noise is not None
    np.testing.assert_allclose(noise[0] * np.sign((noise[0] * best).sum()), best, atol=1e-6)


def test_gd_uap_fills_a_single_convolution_without_a_face() -> None:
    """One map of one place, w . x + b: the fullest within eps is eps sign(w), for any faces."""
    shape = (1, SIDE, SIDE)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 1, SIDE), nn.Flatten(), nn.Linear(1, 3))
    nn.init.constant_(model[0].bias, 5.0)  # the positive part is all of it
    classifier = PyTorchClassifier(model, nn.CrossEntropyLoss(), shape, 3, clip_values=(0, 1))
    results = []
    for seed in (1, 2):
        x = np.random.default_rng(seed).random((64, *shape), np.float32)
        attack = UniversalAttack(classifier, "gd-uap", eps=EPS, passes=250, random_state=0)
        results.append(attack.fit(x, np.zeros(64, int)).noise)
    best = EPS * np.sign(model[0].weight.detach().numpy())
    assert np.mean(np.sign(results[0]) == np.sign(best)) > 0.99
    assert float((results[0] * best).sum() / (best * best).sum()) > 0.95
    np.testing.assert_array_equal(results[0], results[1])


def test_negative_activation_is_the_formula() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(3 * 64, 3)
    )
    classifier = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), (1, SIDE, SIDE), 3, clip_values=(0, 1)
    )
    x = torch.rand(2, 1, SIDE, SIDE)
    first = model[0](x).relu()
    second = model[2](first).relu()
    expected = -(np.log(first.square().sum().sqrt().item()))
    expected -= np.log(second.square().sum().sqrt().item())
    assert negative_activation(Surrogate(classifier), x).item() == pytest.approx(expected, rel=1e-5)


def test_losses_are_the_formulas() -> None:
    outputs = made_up()
    z, f = outputs.logits.numpy(), outputs.features.numpy()
    y = outputs.labels.numpy()
    rows = np.arange(5)
    entropy = np.log(np.exp(z).sum(1)) - z[rows, y]
    np.testing.assert_allclose(clamped_cross_entropy(outputs), -entropy, rtol=1e-5)
    others = np.where(np.eye(3, dtype=bool)[y], -np.inf, z).max(1)
    np.testing.assert_allclose(bounded_margin(outputs), z[rows, y] - others, rtol=1e-5)
    np.testing.assert_allclose(
        bounded_margin(made_up(targeted=True)), others - z[rows, y], rtol=1e-5
    )
    clean = outputs.clean_logits.numpy()
    dot = (z * clean).sum(1) / np.linalg.norm(z, axis=1) / np.linalg.norm(clean, axis=1)
    np.testing.assert_allclose(cosine(outputs), dot, rtol=1e-5)
    unit, own = (a / np.linalg.norm(a, axis=1, keepdims=True)
                 for a in (f, outputs.clean_features.numpy()))  # fmt: skip
    np.testing.assert_allclose(negative_distance(outputs), -((unit - own) ** 2).sum(1), rtol=1e-5)


def test_losses_of_a_fooled_face_are_bounded() -> None:
    far = made_up(scale=1000.0)
    wrong = far.logits.argmax(1) != far.labels
    assert wrong.any()
    assert torch.equal(clamped_cross_entropy(far)[wrong], torch.full((int(wrong.sum()),), -BETA))
    assert torch.equal(bounded_margin(far)[wrong], torch.full((int(wrong.sum()),), -KAPPA))


def test_nearest_point_of_a_triangle() -> None:
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    points = torch.tensor([[-1.0, -1.0], [2.0, 0.0], [1.0, 1.0], [0.4, -3.0], [0.2, 0.3]])
    expected = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, 0.5], [0.4, 0.0], [0.2, 0.3]])
    assert torch.allclose(project_onto_hull(points, corners, 2000), expected, atol=2e-3)
    assert torch.allclose(project_onto_hull(points, corners), expected, atol=0.1)


def test_nearest_point_of_a_hull_is_that_of_a_solver() -> None:
    rng = np.random.default_rng(0)
    corners, point = rng.normal(size=(8, 5)), 3 * rng.normal(size=5)
    best = minimize(
        lambda w: ((w @ corners - point) ** 2).sum(),
        np.full(8, 1 / 8),
        bounds=[(0, 1)] * 8,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-12},
    )
    hull = torch.from_numpy(corners)
    found = project_onto_hull(torch.from_numpy(point)[None], hull, 3000)[0].numpy()
    assert ((found - point) ** 2).sum() == pytest.approx(best.fun, rel=1e-3)
