"""Shares of images with their intervals, paired differences, and many comparisons at once.

A share is what a table prints: the mean over victims of the share of the images that each of them
counts, seeds averaged. Whatever is said of it resamples that very number: whole clusters (persons,
or images where persons are not known) are drawn with replacement, and the draw of the seeds counts
as a second level.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from scipy.stats import binomtest, norm, t

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

DRAWS, SEED = 2000, 0
"""Resamples, and the seed they come from: equal calls give equal intervals."""
LEVEL = 0.95
FEW = 10
"""Below this many clusters that differ at all, a difference is tested exactly."""
HALF = 0.5
"""Correlation within a cluster that is assumed where it cannot be measured."""
_CACHED = 4096
"""Clusters up to which resamples are kept; beyond, they are drawn in blocks each time."""
_BLOCK = 2**22
"""Values of a block of resamples: what is held does not grow with draws times clusters."""


def wilson(p: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % score interval for a share `p` of `n` trials, which may be fractional.

    Source: Wilson, J. Am. Stat. Assoc. 22 (1927); Brown, Cai & DasGupta, Stat. Sci. 16 (2001).
    """
    z = float(norm.ppf((1 + LEVEL) / 2))
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
    low, high = ((middle + side * half) / (1 + z * z / n) for side in (-1, 1))
    return (
        0.0 if p == 0 else float(np.clip(low, 0, p)),
        1.0 if p == 1 else float(np.clip(high, p, 1)),
    )


def interval(
    p: float, draws: Array, images: float, clusters: int, outcomes: float
) -> tuple[float, float]:
    """95 % interval of a share of clustered images: Wilson's, with an effective sample size.

    The variance is that of the resampled share, times C / (C - 1), plus what seeds vary beyond
    their noise. Over that of independent images it is the design effect (Kish 1965; Rao & Scott,
    Biometrics 48, 1992), and few clusters take (t[images - 1] / t[C - 1])^2 more off the sample
    (Korn & Graubard, Surv. Methodol. 24, 1998). Where the rarer outcome fills less than half a
    cluster, the effect cannot be measured and is Kish's 1 + (m - 1) HALF for m images a cluster: a
    rate that close to 0 or 1 has a wider interval than one further off. Where each outcome is its
    own cluster, the interval is Wilson's for `images`.

    Args:
        p: the share. draws: (draws, seeds) shares of each seed in each resample.
        images: counted images, mean over victims. clusters: those with a counted image.
        outcomes: images times victims times seeds; no sample is taken for larger.

    Returns:
        low and high with 0 <= low <= p <= high <= 1; NaN without a share.
    """
    if not np.isfinite(p) or images < 1 or clusters < 1:
        return float("nan"), float("nan")
    c = min(clusters, images)
    if c < 2 <= images:
        return 0.0, 1.0  # one cluster says nothing of others
    draws = draws[np.isfinite(draws).all(1)]
    if outcomes == clusters:
        effect = 1.0
    elif c * min(p, 1 - p) < HALF or len(draws) < 2:
        effect = 1 + (images / c - 1) * HALF
    else:
        variance = draws.mean(1).var() * c / (c - 1) + seed_variance(draws, c)
        effect = variance * (images - 1) / (p * (1 - p))
    few = (_quantile(images - 1) / _quantile(c - 1)) ** 2 if c < images else 1.0
    return wilson(p, min(few * images / effect, outcomes) if effect > 0 else outcomes)


def seed_variance(draws: Array, clusters: float) -> float:
    """What the draw of seeds adds to the variance of their mean, beyond noise of the clusters.

    Two-way analysis of variance, never negative. Drawing seeds with replacement as well would
    count the noise of seed by cluster three times (Owen, Ann. Appl. Stat. 1, 2007).

    Args:
        draws: (draws, seeds), the same clusters for all seeds of a draw.
    """
    seeds = draws.shape[1]
    if seeds == 1:
        return 0.0
    mean = draws.mean(1, keepdims=True)
    noise = (draws - mean).var(0).mean() * clusters / (clusters - 1) / (seeds - 1)
    return max(0.0, float(draws.mean(0).var() / (seeds - 1) - noise))


def _quantile(freedom: float) -> float:
    return float(t.ppf((1 + LEVEL) / 2, freedom))


@dataclass(frozen=True)
class Share:
    """A weighted mean of shares, one column for each victim (of each row pooled).

    Attributes:
        total: (columns, seeds, clusters) outcomes summed within clusters.
        count: (columns, clusters) images that count, the same for all seeds.
        weight: (columns,) in the mean, 1 in all.
        images: in the denominator, mean over victims.
    """

    total: Floats
    count: Floats
    weight: Floats
    images: float

    @classmethod
    def of(
        cls, columns: Sequence[tuple[Array, Array, float]], clusters: int, groups: int = 1
    ) -> Share:
        """From columns of (seeds, n) outcomes with NaN, (n,) clusters, and weights.

        Columns without a counted image are left out. Where columns differ in seeds, those of each
        are averaged.

        Args:
            clusters: how many there are. groups: columns that a victim has (emotions).
        """
        kept = [(o, c, w) for o, c, w in columns if len(c) and not np.isnan(o[0]).all()]
        if len({len(o) for o, _, _ in kept}) > 1:
            kept = [(o.mean(0, keepdims=True), c, w) for o, c, w in kept]
        seeds = len(kept[0][0]) if kept else 1
        total = np.zeros((len(kept), seeds, clusters))
        count = np.zeros((len(kept), clusters))
        for k, (outcome, cluster, _) in enumerate(kept):
            counts = ~np.isnan(outcome[0])
            count[k] = np.bincount(cluster[counts], minlength=clusters)
            for s in range(seeds):
                total[k, s] = np.bincount(cluster[counts], outcome[s, counts], clusters)
        weight = np.array([w for _, _, w in kept])
        images = count.sum() / max(len(kept), 1) * groups
        return cls(total, count, weight / weight.sum() if len(kept) else weight, float(images))

    @cached_property
    def by_seed(self) -> Floats:
        """(seeds,) the share of each seed; NaN without an image."""
        if not len(self.count):
            return np.full(1, np.nan)
        shares = self.total.sum(2) / self.count.sum(1)[:, None]
        mean: Floats = self.weight @ shares
        return mean

    @property
    def value(self) -> float:
        """The share."""
        return float(self.by_seed.mean())

    @cached_property
    def draws(self) -> Floats:
        """(DRAWS, seeds) the same of resampled clusters; NaN where a column has none."""
        columns, seeds, clusters = self.total.shape
        if not columns:
            return np.full((DRAWS, 1), np.nan)
        flat = self.total.reshape(columns * seeds, clusters).T.astype(np.float32)
        counts = self.count.T.astype(np.float32)
        parts = []
        for drawn in _resamples(clusters):
            above = (drawn @ flat).reshape(-1, columns, seeds)
            with np.errstate(invalid="ignore"):
                shares = above / (drawn @ counts)[:, :, None]
            parts.append(np.einsum("bks,k->bs", shares, self.weight))
        return np.concatenate(parts)

    @property
    def clusters(self) -> int:
        """Those with a counted image."""
        return int((self.count.sum(0) > 0).sum())

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Low and high, 95 %."""
        outcomes = self.count.sum() * self.total.shape[1]
        return interval(self.value, self.draws, self.images, self.clusters, outcomes)

    @cached_property
    def by_cluster(self) -> Floats:
        """(clusters,) what each adds to the share."""
        sizes = np.maximum(self.count.sum(1), 1)
        added: Floats = np.einsum("ksc,k->c", self.total, self.weight / sizes) / len(self.by_seed)
        return added


@lru_cache(maxsize=2)
def _kept(clusters: int) -> Array:
    return np.concatenate(list(_drawn(clusters)))


def _resamples(clusters: int) -> Iterator[Array]:
    """(some, clusters) how often each is drawn, DRAWS in all: the same for every comparison."""
    return iter([_kept(clusters)]) if clusters <= _CACHED else _drawn(clusters)


def _drawn(clusters: int) -> Iterator[Array]:
    rng = np.random.default_rng(SEED)
    size = max(1, _BLOCK // clusters)
    for start in range(0, DRAWS, size):
        rows = range(min(size, DRAWS - start))
        drawn = [np.bincount(rng.integers(clusters, size=clusters), None, clusters) for _ in rows]
        yield np.array(drawn, np.float32)


@dataclass(frozen=True)
class Difference:
    """One share less another, with its 95 % interval and p-value.

    Attributes:
        exact: whether `p` is of a sign test, for few clusters that differ.
    """

    value: float
    low: float
    high: float
    p: float
    exact: bool = False


def difference(a: Share, b: Share, same_seeds: bool = False) -> Difference:
    """a - b, paired: each resample draws the same clusters for both.

    Interval and p-value are Student's, of the standard error of the resampled difference. Where
    fewer than FEW clusters differ at all, p is that of an exact sign test on these (for one victim
    and independent images McNemar's).

    Args:
        a, b: over the same clusters, in the same order.
        same_seeds: whether seed s of one belongs to seed s of the other.

    Source: Efron & Tibshirani 1993, ch. 8; Field & Welsh, J. R. Stat. Soc. B 69 (2007).
    """
    value = a.value - b.value
    c = int(((a.count.sum(0) + b.count.sum(0)) > 0).sum())
    apart = a.by_cluster - b.by_cluster
    moved = apart[np.abs(apart) > 1e-12]
    if not np.isfinite(value) or c < 2:
        return Difference(value, float("nan"), float("nan"), 1.0)
    paired = a.draws.mean(1) - b.draws.mean(1)
    variance = np.nanvar(paired) * c / (c - 1)
    if same_seeds and a.draws.shape == b.draws.shape:
        variance += seed_variance(_finite(a.draws - b.draws), c)
    else:
        variance += seed_variance(_finite(a.draws), c) + seed_variance(_finite(b.draws), c)
    error = float(np.sqrt(variance))
    half = _quantile(c - 1) * error
    if len(moved) < FEW:
        p = binomtest(int((moved > 0).sum()), len(moved)).pvalue if len(moved) else 1.0
    else:
        p = 2 * t.sf(abs(value) / error, c - 1) if error else 0.0
    return Difference(value, value - half, value + half, float(p), len(moved) < FEW)


def _finite(draws: Array) -> Array:
    return draws[np.isfinite(draws).all(1)]


def holm(p: Sequence[float]) -> Floats:
    """p-values of several tests, adjusted so that all of them hold at once.

    Source: Holm, Scand. J. Stat. 6 (1979).
    """
    values = np.asarray(p, float)
    order = values.argsort()
    stepped = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.maximum.accumulate(stepped).clip(max=1) if len(values) else stepped
    return adjusted


def next_recogniser(rates: Sequence[float], images: Sequence[float]) -> tuple[float, float]:
    """95 % prediction interval for the rate of one more victim of the same kind.

    Student's on the log odds of the victims' own rates, which hold the draw of the faces too; few
    victims say little of the next. NaN for fewer than two.

    Args:
        rates, images: of each victim that was not looked into, its rate and its images.
    """
    rate, n = np.asarray(rates, float), np.asarray(images, float)
    known = np.isfinite(rate)
    rate, n = rate[known], n[known]
    if len(rate) < 2:
        return float("nan"), float("nan")
    odds = logit((rate * n + 0.5) / (n + 1))
    half = _quantile(len(odds) - 1) * odds.std(ddof=1) * np.sqrt(1 + 1 / len(odds))
    low, high = expit(odds.mean() - half), expit(odds.mean() + half)
    return float(low), float(high)
