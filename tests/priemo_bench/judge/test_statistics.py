"""Intervals against scipy's, closed forms and simulation; differences against the normal law."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from priemo_bench.judge import statistics
from priemo_bench.judge.difference import difference, holm
from priemo_bench.judge.statistics import RateEstimate, next_victim, wilson

RATES = (0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.98)


def estimate(*outcomes: Any, clusters: Any = None, weights: Any = None) -> RateEstimate:
    """Of one column an argument: (n,) outcomes, or (seeds, n)."""
    columns = [np.atleast_2d(np.asarray(o, float)) for o in outcomes]
    cluster = np.arange(columns[0].shape[1]) if clusters is None else np.asarray(clusters)
    own = [1.0] * len(columns) if weights is None else weights
    triples = [(o, cluster, w) for o, w in zip(columns, own, strict=True)]
    return RateEstimate.of(triples, int(cluster.max()) + 1)


@pytest.mark.parametrize("n", [1, 2, 20, 500])
@pytest.mark.parametrize("part", [0, 0.05, 0.5, 0.97, 1])
def test_independent_images_have_wilsons_interval(n: int, part: float) -> None:
    k = round(part * n)
    truth = binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k / n, n) == pytest.approx((truth.low, truth.high), abs=1e-12)
    assert estimate([1.0] * k + [0.0] * (n - k)).interval == pytest.approx(
        (truth.low, truth.high), abs=1e-12
    )


def test_nothing_counted_has_no_interval() -> None:
    nothing = estimate([np.nan, np.nan])
    assert np.isnan([nothing.value, *nothing.interval]).all()


def test_a_rate_is_the_mean_of_its_columns_and_seeds() -> None:
    """Two victims that count 4 and 2 images, two seeds: (3/4 + 1/2 + 1/2 + 1/2) / 4."""
    one = [[1, 1, 1, 0], [1, 1, 0, 0]]
    two = [[1, 0, np.nan, np.nan], [0, 1, np.nan, np.nan]]
    mean = estimate(one, two)
    assert mean.by_seed == pytest.approx([(0.75 + 0.5) / 2, (0.5 + 0.5) / 2])
    assert mean.value == pytest.approx(0.5625)
    assert (mean.images, mean.clusters) == (3, 4)
    assert estimate(one, two, weights=[3, 1]).value == pytest.approx((3 * 0.625 + 0.5) / 4)
    assert mean.by_cluster.sum() == pytest.approx(mean.value)


def test_seeds_are_averaged_where_columns_differ_in_them() -> None:
    mean = estimate([[1, 0], [1, 1]], [0, 0])
    assert mean.by_seed == pytest.approx([(0.75 + 0) / 2])


def test_whole_clusters_are_resampled() -> None:
    """Ten equal images a person make the interval as wide as one image a person does."""
    rng = np.random.default_rng(3)
    persons = (rng.random(200) < 0.4).astype(float)
    whole = estimate(np.repeat(persons, 10), clusters=np.repeat(np.arange(200), 10)).interval
    assert whole == pytest.approx(estimate(persons).interval, abs=0.012)


def test_resamples_do_not_grow_with_the_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks have _BLOCK values at most, and give the same interval as all at once."""
    monkeypatch.setattr(statistics, "_BLOCK", 100_000)
    monkeypatch.setattr(statistics, "_CACHED", 10)
    blocks = [len(block) * block.shape[1] for block in statistics._resamples(300)]
    assert sum(blocks) == 300 * statistics.RESAMPLES
    assert max(blocks) <= 100_000
    outcomes = np.random.default_rng(0).random((2, 300)).round()
    in_blocks = estimate(outcomes[0], outcomes[1]).interval
    monkeypatch.setattr(statistics, "_CACHED", 4096)
    assert estimate(outcomes[0], outcomes[1]).interval == in_blocks


def simulated(rng: Any, p: float, icc: float, victims: int, seeds: int, n: int) -> Any:
    """`n` runs of 20 persons x 7 faces: outcomes (n, victims, seeds, 140), NaN where misclassified.

    A person's rate is Beta with mean p and intra-class correlation `icc`. Seeds change an outcome
    with chance .2; a victim correctly classifies .7 of the faces.
    """
    if icc:
        person = rng.beta(p * (1 - icc) / icc, (1 - p) * (1 - icc) / icc, (n, 20))
    else:
        person = np.full((n, 20), p)
    rate = np.repeat(person, 7, 1)[:, None, None]
    once, anew = rng.random((n, victims, 1, 140)), rng.random((n, victims, seeds, 140))
    outcome = (np.where(rng.random(anew.shape) < 0.8, once, anew) < rate).astype(float)
    outcome[np.broadcast_to(rng.random((n, victims, 1, 140)) > 0.7, outcome.shape)] = np.nan
    return outcome


def coverage(p: float, icc: float, victims: int, seeds: int, runs: int) -> float:
    """Per cent of intervals that hold the true rate."""
    rng = np.random.default_rng([int(1000 * p), int(10 * icc), victims, seeds])
    persons = np.repeat(np.arange(20), 7)
    inside = 0
    for outcome in simulated(rng, p, icc, victims, seeds, runs):
        low, high = estimate(*outcome, clusters=persons).interval
        inside += low <= p <= high
    return 100 * inside / runs


@pytest.mark.parametrize("icc", [0, 0.2, 0.5])
@pytest.mark.parametrize("victims", [1, 4])
def test_95_per_cent_intervals_cover_as_often(
    icc: float, victims: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """93 to 98 % of 400 runs at each of RATES, but for three standard errors, and in their mean."""
    monkeypatch.setattr(statistics, "RESAMPLES", 200)
    statistics._cached.cache_clear()
    found = [coverage(p, icc, victims, 3, 400) for p in RATES]
    statistics._cached.cache_clear()
    error = 3 * np.sqrt(95 * 5 / 400)
    assert 93 - error <= min(found) <= max(found) <= min(98 + error, 100)
    assert 93 <= np.mean(found) <= 98


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("icc", [0, 0.2, 0.5])
@pytest.mark.parametrize("victims", [1, 4])
def test_coverage_at_every_rate(
    icc: float, victims: int, seeds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prints coverage at each of RATES from 2,000 runs (its standard error is .5)."""
    monkeypatch.setattr(statistics, "RESAMPLES", 400)
    statistics._cached.cache_clear()
    found = [coverage(p, icc, victims, seeds, 2000) for p in RATES]
    statistics._cached.cache_clear()
    print(f"correlation {icc}, {victims} victims, {seeds} seeds:", [f"{c:.1f}" for c in found])
    assert 93 - 1.5 <= min(found) <= max(found) <= 98 + 1.5


def test_difference_of_equal_rates_is_zero() -> None:
    a = estimate(np.random.default_rng(1).random(50).round())
    same = difference(a, a)
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_difference_is_normal_for_many_images() -> None:
    """Central limit: standard error sd(a - b) / sqrt(n)."""
    rng = np.random.default_rng(2)
    a, b = rng.random((2, 4000))
    found = difference(estimate(a), estimate(b))
    error = (a - b).std(ddof=1) / np.sqrt(4000)
    assert found.value == pytest.approx((a - b).mean())
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.05)
    assert not found.exact


def test_few_discordant_images_are_tested_as_mcnemar_does() -> None:
    """Five of 500 images differ, all one way: p = 2 / 2^5."""
    a, b = np.ones(500), np.ones(500)
    b[:5] = 0
    found = difference(estimate(a), estimate(b))
    assert found.exact
    assert found.p == pytest.approx(binomtest(5, 5).pvalue) == pytest.approx(0.0625)


def test_pairs_of_unequal_denominators_resample_the_mean_over_victims() -> None:
    """One victim counts 400 images, the other 40: its 40 weigh as much, so the error is theirs."""
    rng = np.random.default_rng(4)
    few = np.where(np.arange(400) < 40, 0.0, np.nan)
    a = estimate(rng.random(400).round(), few + rng.random(400).round())
    b = estimate(rng.random(400).round(), few + rng.random(400).round())
    found = difference(a, b)
    expected = np.sqrt((0.5 / 400 + 0.5 / 40) / 4)
    assert (found.high - found.low) / 2 / 1.97 == pytest.approx(expected, rel=0.15)


def test_seeds_that_differ_widen_a_difference() -> None:
    """Rates of .2, .5 and .8 over three seeds: the interval knows of more than faces."""
    rng = np.random.default_rng(5)
    apart = np.array([rng.random(2000) < p for p in (0.2, 0.5, 0.8)], float)
    alike = np.array([rng.random(2000) < 0.5 for _ in range(3)], float)
    base = estimate(np.zeros(2000))
    wide, narrow = (difference(estimate(o), base) for o in (apart, alike))
    assert wide.high - wide.low == pytest.approx(2 * 1.96 * 0.3 / np.sqrt(3), rel=0.05)
    assert narrow.high - narrow.low < 0.1
    together = difference(estimate(apart), estimate(apart - 0.1), same_seeds=True)
    assert together.high - together.low < 0.01


def test_holm_is_the_textbook_example() -> None:
    """Holm 1979: sorted p times k, k - 1, ..., never falling."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]).tolist() == []
    assert holm([0.9, 0.8]).tolist() == [1, 1]


@pytest.mark.parametrize("victims", [3, 8])
def test_the_next_victim_falls_into_its_interval(victims: int) -> None:
    """Victims of normal log odds: 95 % of the next ones lie inside."""
    rng = np.random.default_rng(victims)
    inside = 0
    for _ in range(2000):
        rates = 1 / (1 + np.exp(-rng.normal(-0.7, 0.6, victims + 1)))
        low, high = next_victim(list(rates[:-1]), [1e6] * victims)
        inside += low <= rates[-1] <= high
    assert inside / 2000 == pytest.approx(0.95, abs=0.015)


def test_one_victim_says_nothing_of_the_next() -> None:
    assert np.isnan(next_victim([0.5], [100])).all()
    assert next_victim([0.0, 0.0, 0.0], [100] * 3)[0] < 0.006
