"""Detectors against scikit-learn, closed forms, and perturbations that are easy or absent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score

from priemo_bench.adversaries import pairs
from priemo_bench.adversaries.detectors import (
    LearnedDetector,
    ResidualEnergy,
    Squeezing,
    detection,
    threshold,
)
from priemo_bench.defenses import Bits, Median, Nothing
from priemo_bench.errors import PriemoError
from priemo_bench.testing import toy_faces


def faces(n: int, seed: int, size: int = 16, channels: int = 1) -> np.ndarray:
    """(n, channels, size, size) uint8 smooth toy faces between 20 and 235."""
    images = gaussian_filter(toy_faces(n, channels, size, seed)[0], (0, 0, 2, 2))
    return np.rint(20 + 215 * images).astype(np.uint8)


def shifted(x: np.ndarray, change: np.ndarray) -> np.ndarray:
    return np.rint(x + change).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(3))
def test_auroc_is_that_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clean, protected = rng.integers(0, 9, 120), rng.integers(2, 12, 80)
    truth = np.repeat([0, 1], [120, 80])
    wanted = roc_auc_score(truth, np.concatenate([clean, protected]))
    assert detection(clean, protected).auroc == pytest.approx(wanted)


@pytest.mark.parametrize("n", [1, 7, 99, 100, 101, 5000])
@pytest.mark.parametrize("rate", [0, 0.01, 0.1])
def test_a_threshold_is_the_least_that_keeps_the_rate(n: int, rate: float) -> None:
    scores = np.random.default_rng(n).normal(size=n)
    limit = threshold(scores, rate)
    assert (scores > limit).mean() <= rate
    lower = scores[scores < limit]
    assert len(lower) == 0 or (scores > lower.max()).mean() > rate


def test_false_alarms_on_other_clean_faces_are_about_the_rate() -> None:
    rng = np.random.default_rng(0)
    found = [detection(rng.normal(size=500), rng.normal(size=500)).rate for _ in range(200)]
    assert np.mean(found) == pytest.approx(0.012, abs=0.002)  # 6 / 501: the 6th is not above


def test_a_threshold_of_other_faces_may_be_given() -> None:
    assert detection([0, 1], [2, 3, 4], 3.5) == (1.0, pytest.approx(1 / 3))


@pytest.mark.parametrize("scores", [[], [np.nan], [[1.0]], [np.inf]])
def test_scores_that_are_none_are_refused(scores: list) -> None:
    with pytest.raises(PriemoError, match="finite"):
        threshold(scores)
    with pytest.raises(PriemoError, match="finite"):
        detection([1.0], scores)
    with pytest.raises(PriemoError, match="rate"):
        threshold([1.0], 1)


def test_squeezing_is_the_largest_l1_distance() -> None:
    x = faces(6, 0, size=24)

    def predict(images: np.ndarray) -> np.ndarray:
        p = images.mean((1, 2, 3)).astype(np.float32)
        return np.stack([p, 1 - p], 1)

    squeezers = (Bits(1), Median(3))
    means = [s(x).mean((1, 2, 3)) - (x / 255).mean((1, 2, 3)) for s in squeezers]
    wanted = 2 * np.abs(means).max(0)
    assert np.allclose(Squeezing(predict, squeezers).scores(x), wanted, atol=1e-5)
    assert not Squeezing(predict, (Nothing(),)).scores(x).any()


def test_residual_energy_is_that_of_what_the_filter_takes_away() -> None:
    x = faces(4, 0, channels=3)
    away = 255 * Median(3)(x) - x
    assert np.allclose(ResidualEnergy(Median(3)).scores(x), (away**2).mean((1, 2, 3)), rtol=1e-4)
    assert not ResidualEnergy(Nothing()).scores(x).round(6).any()


def test_residual_energy_of_the_denoiser_finds_noise() -> None:
    clean = faces(60, 0, size=48)
    noisy = shifted(clean, np.random.default_rng(0).normal(0, 6, clean.shape))
    energy = ResidualEnergy().scores
    assert detection(energy(clean[:30]), energy(noisy[30:])).auroc > 0.95


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many steps as toys need."""
    monkeypatch.setattr(pairs, "STEPS", 8)


@pytest.mark.usefixtures("briefly")
@pytest.mark.parametrize("kind", [pytest.param("noise", marks=pytest.mark.slow), "one pattern"])
def test_a_learned_detector_finds_what_it_has_learnt(kind: str) -> None:
    clean, rng = faces(160, 0), np.random.default_rng(0)
    shape = clean.shape if kind == "noise" else clean.shape[1:]
    protected = shifted(clean, 2 * rng.choice([-1, 1], shape))
    torch.manual_seed(3)
    before = torch.get_rng_state()
    detector = LearnedDetector.fitted(clean[:80], protected[:80], seed=0)
    assert torch.equal(torch.get_rng_state(), before)
    found = detector.scores(protected[80:120])
    assert found.dtype == np.float64
    assert detection(detector.scores(clean[120:]), found).auroc > 0.95
    again = LearnedDetector.fitted(clean[:80], protected[:80], seed=0)
    assert np.array_equal(again.scores(protected[80:120]), found)
    with pytest.raises(PriemoError, match="learnt from"):
        detector.scores(faces(1, 0, size=32))


@pytest.mark.usefixtures("briefly")
def test_nothing_is_learnt_from_pairs_that_do_not_differ() -> None:
    clean = faces(60, 0)
    detector = LearnedDetector.fitted(clean[:30], clean[:30], seed=0)
    assert np.abs(detector.scores(clean[30:])).max() < 0.5
