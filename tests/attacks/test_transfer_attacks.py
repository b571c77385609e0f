"""Transfer attacks against closed forms: linear and quadratic losses, and what their views keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.fft
import torch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn

from priemo_bench.attacks import transfer
from priemo_bench.attacks.transfer import CWA, MEF, PGN, SMER, SVRE, AdaEA
from priemo_bench.attacks.transfer.base import Descent, scaled
from priemo_bench.attacks.transfer.ops import OPERATORS
from priemo_bench.attacks.transfer.sia import WAYS, _cuts, block_view
from priemo_bench.attacks.transfer.spectrum import from_spectrum, spectral_view, to_spectrum
from priemo_bench.errors import PriemoError

SHAPE = (3, 12, 14)
EPS = 8 / 255


def linear(seed: int) -> PyTorchClassifier:
    """Two classes, logits linear in the image."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(SHAPE)), 2))
    return PyTorchClassifier(model, nn.CrossEntropyLoss(), SHAPE, 2, clip_values=(0, 1))


def bent() -> PyTorchClassifier:
    """Two classes, whose gradient is another at every point."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 10 * 12, 2))
    return PyTorchClassifier(model, nn.CrossEntropyLoss(), SHAPE, 2, clip_values=(0, 1))


def weights(classifier: PyTorchClassifier) -> np.ndarray:
    """How the margin of class 1 over class 0 grows, (c, h, w)."""
    w = classifier.model[1].weight.detach().numpy()
    return (w[1] - w[0]).reshape(SHAPE)


def descent(surrogates: list[Any], x: Tensor, **values: Any) -> Descent:
    own = {"loss": "margin", "sign": 1, "eps": EPS, "step": EPS / 10}
    generator = torch.Generator().manual_seed(0)
    y = torch.zeros(len(x), dtype=torch.long)
    return Descent(x, y, surrogates, generator=generator, **{**own, **values})


QUICK = {
    PGN: {"samples": 2}, MEF: {"samples": 2}, SVRE: {"rounds": 2}, AdaEA: {}, CWA: {},
    SMER: {"rounds": 2},
}  # fmt: skip


@pytest.mark.parametrize("attack", QUICK, ids=lambda attack: attack.__name__)
@pytest.mark.parametrize("targeted", [False, True])
def test_the_optimum_of_a_linear_margin_is_reached(attack: Any, targeted: bool) -> None:
    """Within linf it is eps times the sign of the weights, from several surrogates of one kind."""
    one, x = linear(0), np.full((2, *SHAPE), 0.5, np.float32)
    y = np.full(2, int(targeted))  # leave class 0, or reach class 1
    made = attack(
        one, eps=EPS, surrogates=(one,), loss="margin", targeted=targeted, random_state=0,
        **QUICK[attack],
    )  # fmt: skip
    np.testing.assert_allclose(made.generate(x, y) - x, np.broadcast_to(
        EPS * np.sign(weights(one)), x.shape), atol=1e-6)  # fmt: skip


class Quadratic:
    """A surrogate whose margin loss is |z|^2 / 2 summed: its gradient is z."""

    def __call__(self, z: Tensor) -> tuple[Tensor, Tensor]:
        loss = z.square().flatten(1).sum(1) / 2
        return z, torch.stack([-loss, torch.zeros_like(loss)], 1)


def test_pgn_mixes_the_gradients_of_both_points() -> None:
    """Eq. 10 with a neighbourhood of no size, where the gradient at z is z."""
    z = torch.rand(2, *SHAPE) * 0.5 + 0.25
    own = descent([Quadratic()], z)
    attack = PGN(linear(0), samples=1, radius=0.0, balance=0.25)
    expected = 0.75 * z + 0.25 * (z - own.step * scaled(z))
    torch.testing.assert_close(attack.direction(z, own), expected)


def test_mef_pushes_neighbours_along_what_they_saw_before() -> None:
    z = torch.rand(1, *SHAPE) * 0.5 + 0.25
    own = descent([Quadratic()], z)
    attack = MEF(linear(0), samples=1, radius=0.0, push=0.5, inner_decay=0.9)
    torch.testing.assert_close(attack.direction(z, own), z)
    torch.testing.assert_close(own.memory["pushes"][0], scaled(z))
    second = z + 0.5 * EPS * scaled(z)
    torch.testing.assert_close(attack.direction(z, own), second)
    torch.testing.assert_close(own.memory["pushes"][0], scaled(second) - 0.9 * scaled(z))


def test_svre_takes_the_variance_out_of_linear_surrogates() -> None:
    """Whichever surrogate is drawn, its corrected gradient is the mean of all."""
    several = [linear(seed) for seed in range(3)]
    mean = sum(weights(c) for c in several) / 3
    attack = SVRE(several[0], surrogates=tuple(several[1:]), rounds=1, decay=0.0, loss="margin")
    found = attack.generate(np.full((1, *SHAPE), 0.5, np.float32), np.zeros(1, int)) - 0.5
    np.testing.assert_array_equal(np.sign(found[0]), np.sign(mean))
    assert (np.sign(weights(several[0])) != np.sign(mean)).any()


def test_adaea_weighs_equals_alike_and_leaves_disputed_pixels_alone() -> None:
    gradient = torch.randn(2, *SHAPE)
    attack = AdaEA(linear(0))
    against = gradient.clone()
    against[:, :, :6] *= -1
    agreeing = attack._agreeing([gradient, against])
    assert not agreeing[:, :, :6].any()
    assert agreeing[:, :, 6:].all()
    z = torch.full((2, *SHAPE), 0.5)
    own = descent([Quadratic(), Quadratic(), Quadratic()], z)
    found = attack._weights(z, [z, z, z], own)
    torch.testing.assert_close(found, torch.full((3, 2), 1 / 3))


def test_the_weights_of_adaea_are_its_authors() -> None:
    """One loop over pairs: what i loses by j's step, over what it loses by its own; softmax."""
    models = [Linear(seed) for seed in range(3)]
    z = torch.rand(1, *SHAPE)
    own = descent(models, z, loss="cross_entropy")
    gradients = [own.gradient(z, [model]) for model in models]

    def loss(i: int, j: int) -> float:
        point = (z + own.step * gradients[j].sign()).clamp(z - EPS, z + EPS).clamp(0, 1)
        return float(nn.functional.cross_entropy(models[i](point)[1], own.y))

    sums = [sum(loss(i, j) / loss(i, i) for i in range(3) if i != j) for j in range(3)]
    found = AdaEA(linear(0), sharpness=2.5)._weights(z, gradients, own)
    expected = torch.softmax(2.5 * torch.tensor(sums), 0)
    torch.testing.assert_close(found[:, 0], expected, rtol=1e-4, atol=1e-5)
    assert expected.max() - expected.min() > 0.01


@pytest.mark.parametrize("loss", ["cross_entropy", "margin"])
@pytest.mark.parametrize("sign", [1, -1])
def test_adaea_trusts_the_surrogate_of_another_mind_least(loss: str, sign: int) -> None:
    """Whatever is ascended: two of three surrogates are one."""
    models, z = [Linear(0), Linear(0), Linear(1)], torch.full((1, *SHAPE), 0.5)
    own = descent(models, z, loss=loss, sign=sign)
    first, second, third = AdaEA(linear(0))._weights(
        z, [own.gradient(z, [model]) for model in models], own
    )[:, 0]
    assert first == second > third


@pytest.mark.parametrize("loss", ["cross_entropy", "margin"])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_weights_of_smer_raise_what_is_ascended(loss: str, sign: int) -> None:
    models, z = [Fixed(-1.0, 1.0), Fixed(4.0, -4.0)], torch.zeros(1, *SHAPE)
    own, before = descent(models, z, loss=loss, sign=sign), torch.ones(2)
    after = before - 0.02 * SMER(linear(0))._slope(z, own, before)

    def ascended(weights: Tensor) -> Tensor:
        return own.losses(sum(w * m.logits for w, m in zip(weights, models, strict=True)) / 2)

    assert ascended(after) > ascended(before)


class Linear:
    """A surrogate with two classes, whose logits are linear in the image."""

    def __init__(self, seed: int) -> None:
        drawn = torch.Generator().manual_seed(seed)
        self.weights = torch.randn(int(np.prod(SHAPE)), 2, generator=drawn) / 10

    def __call__(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z, z.flatten(1) @ self.weights


class Fixed:
    """A surrogate with the same logits for every image."""

    def __init__(self, *logits: float) -> None:
        self.logits = torch.tensor([logits])

    def __call__(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z, self.logits.expand(len(z), -1)


def test_the_weights_of_smer_descend_its_loss() -> None:
    """Against finite differences of -log of the mean cross-entropy of the weighted logits."""
    models = [Fixed(1.0, 2.0, -1.0), Fixed(0.5, -1.0, 3.0), Fixed(2.0, 2.5, 0.0)]
    z, w = torch.zeros(2, *SHAPE), torch.tensor([1.0, 0.8, 1.2], dtype=torch.float64)
    own = descent(models, z, loss="cross_entropy")

    def loss(w: Tensor) -> float:
        mean = sum(w[k] * model.logits.double() for k, model in enumerate(models)) / 3
        entropy = torch.logsumexp(mean, 1) - mean[:, 0]
        return float(-torch.log(entropy))

    steps = 1e-5 * torch.eye(3, dtype=torch.float64)
    expected = torch.tensor([(loss(w + s) - loss(w - s)) / 2e-5 for s in steps])
    found = SMER(linear(0))._slope(z, own, w.float()) - 2e-3 * w.float()
    torch.testing.assert_close(found, expected.float(), atol=1e-4, rtol=1e-3)


def test_cosine_coefficients_are_scipys() -> None:
    x = torch.rand(2, *SHAPE)
    expected = scipy.fft.dctn(x.numpy(), axes=(2, 3), norm="ortho")
    np.testing.assert_allclose(to_spectrum(x).numpy(), expected, atol=1e-5)
    torch.testing.assert_close(from_spectrum(to_spectrum(x)), x, atol=1e-5, rtol=0)


def test_a_spectral_view_without_jitter_is_the_image() -> None:
    x = torch.rand(1, *SHAPE)
    own = descent([], x)
    torch.testing.assert_close(spectral_view(x, own, 0.0, 0.0), x, atol=1e-5, rtol=0)
    assert (spectral_view(x, own) - x).abs().mean() > 0.01


def test_ways_to_change_a_block() -> None:
    """Shifts and flips move pixels only, the low-pass is a projection; all keep the shape."""
    x = torch.rand(1, 3, 9, 8)
    own = descent([], x)
    for way in WAYS:
        assert way(x, own).shape == x.shape
    for k in (1, 2, 3, 4, 5):
        torch.testing.assert_close(
            WAYS[k](x, own).flatten().sort().values, x.flatten().sort().values
        )
    low = WAYS[8]
    torch.testing.assert_close(low(low(x, own), own), low(x, own), atol=1e-5, rtol=0)
    many = torch.ones(1, 3, 60, 60)
    assert abs(float(WAYS[9](many, own).mean()) - 1) < 0.02  # dropped pixels are made up for


@pytest.mark.parametrize("side", [1, 2, 3, 12])
def test_blocks_cover_a_side_once(side: int) -> None:
    own = descent([], torch.zeros(1, 1, 1, 1))
    for _ in range(20):
        cuts = _cuts(side, 3, own)
        assert [k for low, high in cuts for k in range(low, high)] == list(range(side))
        assert all(low < high for low, high in cuts)
    assert block_view(torch.rand(1, 1, side, side), own, 3).shape == (1, 1, side, side)


def test_operators_keep_the_shape_and_pass_a_gradient() -> None:
    x = torch.rand(1, *SHAPE, requires_grad=True)
    own = descent([], x)
    for operator in OPERATORS:
        view = operator(x, own)
        assert view.shape == x.shape
        (gradient,) = torch.autograd.grad(view.sum(), x)
        assert gradient.abs().sum() > 0


@pytest.mark.parametrize("name", ["sia", "ops", "ssa_cwa"])
def test_views_are_drawn_by_the_seed(name: str) -> None:
    preset = getattr(transfer, name)
    few = {"views": 2} if name == "ssa_cwa" else {"samples": 2} if name == "sia" else {}
    x = np.random.default_rng(0).random((2, *SHAPE), np.float32)

    def made(seed: int) -> np.ndarray:
        attack = preset(bent(), steps=3, random_state=seed, **few)
        return np.asarray(attack.generate(x))

    np.testing.assert_array_equal(made(1), made(1))
    assert (made(1) != made(2)).any()
    assert np.abs(made(1) - x).max() <= EPS + 1e-6


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"samples": 0}, "samples is 0"), ({"radius": -1}, "radius is -1"),
        ({"balance": 2}, "balance is 2"), ({"decay": "a"}, "decay is 'a'"),
        ({"step_size": 0}, "step_size is 0"), ({"loss": "mrgin"}, "did you mean margin"),
        ({"eps": 0}, "eps is 0"), ({"radius": float("nan")}, "radius is nan"),
    ],
)  # fmt: skip
def test_wrong_parameters_are_named(params: dict[str, Any], words: str) -> None:
    with pytest.raises(PriemoError, match=words):
        PGN(linear(0), **params)
