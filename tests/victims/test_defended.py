"""Model defenses: votes, noise, views and certificates, against closed forms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform
from scipy.stats import beta, binom, norm
from torch import Tensor, nn

from priemo_bench import registry
from priemo_bench.contracts.card import relations
from priemo_bench.contracts.image import to_float
from priemo_bench.contracts.victim import Victim, freeze
from priemo_bench.errors import PriemoError
from priemo_bench.testing import ToyVictim, toy_faces
from priemo_bench.victims.defended import DEFENDED, DefendedVictim
from priemo_bench.victims.defended.networks import (
    ABSTAIN,
    AugmentedVictim,
    SmoothedVictim,
    VotingVictim,
    certified_radius,
    log_mean,
    log_votes,
    view,
)  # fmt: skip

SIDE = 8
each = pytest.mark.parametrize("entry", DEFENDED, ids=lambda entry: entry.name)


class HalfPlane(Victim):
    """Predicts class 3 where the mean grey is above a threshold, else class 5."""

    def __init__(self, threshold: float) -> None:
        super().__init__(SIDE, 1, (0.0,), (1.0,))
        self.threshold = threshold
        self.last = nn.Linear(7, 7, bias=False)
        self.last.weight.data = torch.eye(7)
        freeze(self)

    def embed(self, x: Tensor) -> Tensor:
        above = 50 * (x.mean((1, 2, 3)) - self.threshold)
        zeros = torch.zeros_like(above)
        return torch.stack([zeros - 9] * 3 + [above, zeros - 9, -above, zeros - 9], 1)

    def head(self, f: Tensor) -> Tensor:
        logits: Tensor = self.last(f)
        return logits


def grey(level: int, n: int = 1) -> np.ndarray:
    return np.full((n, 1, SIDE, SIDE), level, np.uint8)


def test_votes_decide_and_mean_probability_decides_between_equal_votes() -> None:
    probabilities = torch.tensor(
        [[[0.9, 0.1, 0.0]], [[0.4, 0.5, 0.1]], [[0.4, 0.5, 0.1]]]
    ).clamp_min(1e-9)
    shares = log_votes(probabilities.log()).exp()
    mean = probabilities.mean(0)
    assert torch.allclose(shares, (torch.tensor([[1.0, 2.0, 0.0]]) + mean) / 4, atol=1e-6)
    assert shares.sum().item() == pytest.approx(1)
    assert shares.argmax().item() == 1
    assert log_mean(probabilities.log()).argmax().item() == 0
    assert log_votes(probabilities[:2].log()).argmax().item() == 0


def test_a_vote_without_a_chance_is_finite_and_has_a_gradient() -> None:
    logits = torch.tensor([[[80.0, 0.0]], [[80.0, -80.0]]], requires_grad=True)
    shares = log_votes(logits)
    shares[0, 1].backward()
    assert shares.isfinite().all()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[0, 0, 1] > 0.9


def test_votes_under_noise_are_those_of_the_normal_distribution() -> None:
    """The mean of 64 pixels with noise of sigma .25 has deviation .25 / 8."""
    level, sigma = 128, 0.25
    threshold = level / 255 + 0.02
    victim = SmoothedVictim(HalfPlane(threshold), sigma, draws=2000)
    x = torch.from_numpy(to_float(grey(level)))
    share = victim(x).softmax(1)[0, 3].item()
    clipped = np.clip(level / 255 + sigma * np.random.default_rng(1).normal(size=10**6), 0, 1)
    above = norm.sf(threshold, clipped.mean(), clipped.std() / SIDE)
    low, high = binom.interval(0.9999, 2000, above)
    assert low / 2001 < share < (high + 1) / 2001


def test_the_draw_is_that_of_the_seed_and_the_bytes() -> None:
    x = torch.from_numpy(toy_faces(4, size=SIDE)[0])
    base = ToyVictim()
    victim, other = (SmoothedVictim(base, 0.2, draws=30, seed=seed) for seed in (0, 1))
    logits = victim(x)
    assert torch.equal(victim(x.flip(0)).flip(0), logits)
    assert torch.equal(victim(x + 0.001), victim(x + 0.0011)) is False  # same noise, other floats
    assert not torch.equal(other(x), logits)
    assert victim.identity != other.identity
    colour = x.expand(-1, 3, -1, -1)
    assert torch.allclose(victim(colour), logits, atol=1e-3)


def test_gradients_are_those_of_all_draws_at_once() -> None:
    """One image at a time, computed again: as without checkpoints."""
    victim = SmoothedVictim(ToyVictim(), 0.2, draws=12)
    x = torch.from_numpy(toy_faces(2, size=SIDE)[0]).requires_grad_()
    (gradient,) = torch.autograd.grad(victim(x)[:, 3].sum(), x)
    noise = [next(victim._noise(image, 12, "prediction")) for image in x.split(1)]
    plain = sum(
        log_votes(victim.base((image + n).clamp(0, 1))[:, None])[0, 3]
        for image, n in zip(x.split(1), noise, strict=True)
    )
    assert isinstance(plain, Tensor)
    (expected,) = torch.autograd.grad(plain, x)
    assert torch.allclose(gradient, expected, atol=1e-6)


@pytest.mark.parametrize(("hits", "n"), [(999, 1000), (700, 1000), (600, 1000), (100, 100)])
def test_the_radius_is_that_of_the_papers_formula(hits: int, n: int) -> None:
    """sigma ppf(p), with the bound of Clopper and Pearson as a quantile of the beta distribution,
    under which `hits` or more have probability alpha."""
    low = beta.ppf(0.001, hits, n - hits + 1)
    assert binom.sf(hits - 1, n, low) == pytest.approx(0.001, rel=1e-6)
    assert certified_radius(hits, n, 0.5, 0.001) == pytest.approx(0.5 * norm.ppf(low), rel=1e-9)
    assert certified_radius(hits, n, 0.25, 0.001) == pytest.approx(0.25 * norm.ppf(low), rel=1e-9)


def test_too_close_a_vote_is_not_certified() -> None:
    assert certified_radius(540, 1000, 0.25, 0.001) == 0
    assert certified_radius(0, 1000, 0.25, 0.001) == 0
    victim = SmoothedVictim(HalfPlane(128 / 255), 0.1)
    found = victim.certify(grey(128), n0=20, n=200, verbose=False)
    assert found.labels.tolist() == [ABSTAIN]
    assert found.radii.tolist() == [0]


def test_certificates_of_a_half_plane_are_sound_and_nearly_its_distance() -> None:
    """The radius of a linear classifier is its distance, of which n draws see at most a bound."""
    sigma, n = 0.05, 2000
    images = np.concatenate([grey(130), grey(128 + 8), grey(100)])
    victim = SmoothedVictim(HalfPlane(128 / 255), sigma)
    found = victim.certify(images, n0=50, n=n, verbose=False)
    distance = SIDE * np.array([2, 8, 28]) / 255
    largest = sigma * norm.ppf(beta.ppf(0.001, n, 1))
    assert found.labels.tolist() == [3, 3, 5]
    assert (found.radii <= np.minimum(distance, largest) + 1e-9).all()
    assert found.radii[0] > 0.7 * distance[0]
    assert found.radii[2] == pytest.approx(largest)


def test_bad_numbers_are_refused() -> None:
    base = ToyVictim()
    with pytest.raises(PriemoError, match="sigma"):
        SmoothedVictim(base, 0)
    with pytest.raises(PriemoError, match="draws"):
        SmoothedVictim(base, 0.1, draws=0)
    victim = SmoothedVictim(base, 0.1)
    with pytest.raises(PriemoError, match="alpha"):
        victim.certify(grey(3), alpha=0, verbose=False)
    with pytest.raises(PriemoError, match="uint8"):
        victim.certify(to_float(grey(3)), verbose=False)  # type: ignore[arg-type]


def test_the_majority_of_networks_wins() -> None:
    """Two of three see the mean above their threshold."""
    x = torch.from_numpy(to_float(grey(120)))
    low, lower, high = (HalfPlane(t) for t in (0.4, 0.3, 0.9))
    assert VotingVictim(high, low, lower)(x).argmax(1).item() == 3
    assert VotingVictim(high, high, low)(x).argmax(1).item() == 5
    assert torch.allclose(VotingVictim(low)(x).softmax(1)[0, 3], (1 + low(x).softmax(1)[0, 3]) / 2)


def test_a_view_is_what_scipy_interpolates() -> None:
    image = np.random.default_rng(0).uniform(size=(20, 20)).astype(np.float32)
    x = torch.from_numpy(image)[None, None]
    for scale, shift in ((1.0, 0.1), (0.9, 0.0), (1.1, -0.05)):
        middle = (20 - 1) / 2
        offset = middle + 20 * shift - scale * middle
        expected = affine_transform(image, [scale] * 2, [offset] * 2, order=1, mode="nearest")
        assert np.allclose(view(x, scale, shift)[0, 0].numpy(), expected, atol=1e-5)
    assert view(x, 1.0, 0.0) is x


def test_an_image_and_its_mirror_image_have_the_same_views() -> None:
    victim = AugmentedVictim(ToyVictim())
    x = torch.from_numpy(toy_faces(4)[0])
    assert torch.allclose(victim(x), victim(x.flip(-1)), atol=1e-5)
    assert torch.allclose(victim(x).exp().sum(1), torch.ones(4))
    assert not torch.allclose(victim(x), victim.base(x).log_softmax(1), atol=1e-2)


@each
def test_the_card_says_whose_kin_it_is(entry: DefendedVictim) -> None:
    card = entry.card
    assert card.name == entry.name
    assert card.parameters == sum(part.card.parameters for part in entry.parts)
    assert "fer2013 test" in card.accuracy
    kin = {other.name: relations(card, other.card) for other in DEFENDED if other != entry}
    kin |= {part.name: relations(card, part.card) for part in entry.parts}
    assert len(kin) == len(DEFENDED) - 1 + len(entry.parts)
    assert all({"weights", "architecture"} <= set(kinds) for kinds in kin.values())
    stranger = registry.get("victims", "pvt").card
    assert "weights" not in relations(card, stranger)


def test_a_damaged_card_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "cards"
    folder.mkdir()
    entry = replace(DEFENDED[0], root=folder.parent)
    assert entry.card.accuracy == {}
    entry.card_file.write_text("{}")
    with pytest.raises(PriemoError, match="damaged"):
        _ = entry.card
