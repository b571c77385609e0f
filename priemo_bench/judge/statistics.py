"""Rates with their intervals.

The rate of a table is a mean over victims of the share of images that each of them counts, seeds
averaged. Its interval and every comparison resample that very statistic: whole clusters (persons,
or images where persons are not known) with replacement, and seeds as a second level.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
import scipy  # loads scipy.special when it is first used; scipy.stats is slow to import

from priemo_bench.contracts.outcomes import FloatArray, IntArray

Counts = npt.NDArray[np.float32]

RESAMPLES, SEED = 2000, 0
"""Bootstrap resamples, and their seed: equal calls give equal intervals."""
LEVEL = 0.95
MEASURABLE = 0.5
"""Clusters that the rarer outcome fills at least where a design effect can be measured."""
ASSUMED_CORRELATION = 0.5
"""Correlation within a cluster that is assumed where it cannot be measured."""
_CACHED = 4096
"""Clusters up to which resamples are kept; beyond, they are computed in blocks each time."""
_BLOCK = 2**22
"""Values of a block of resamples: memory does not grow with resamples times clusters."""


def wilson(p: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % score interval for a proportion `p` of `n` trials, which may be fractional.

    Source: Wilson, J. Am. Stat. Assoc. 22 (1927); Brown, Cai & DasGupta, Stat. Sci. 16 (2001).

    Example:
        >>> low, high = wilson(0.9, 10)
        >>> print(f"{low:.3f} to {high:.3f}")
        0.596 to 0.982
    """
    z = _normal_quantile()
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
    low, high = ((middle + side * half) / (1 + z * z / n) for side in (-1, 1))
    return (
        0.0 if p == 0 else float(np.clip(low, 0, p)),
        1.0 if p == 1 else float(np.clip(high, p, 1)),
    )


def clustered_interval(
    p: float, resampled: FloatArray, images: float, clusters: int, outcomes: float
) -> tuple[float, float]:
    """95 % interval of a rate over clustered images: Wilson's, with an effective sample size.

    The design effect (Kish 1965; Rao & Scott, Biometrics 48, 1992) is the variance of the rate over
    that of independent images. The variance is that of the resampled rate, times C / (C - 1) for C
    clusters, plus the variance of seeds beyond their noise. Few clusters divide the sample size by
    a further (t[C - 1] / t[images - 1])^2 (Korn & Graubard, Surv. Methodol. 24, 1998). Where the
    rarer outcome fills less than MEASURABLE clusters, the effect cannot be measured and is Kish's
    1 + (m - 1) ASSUMED_CORRELATION for m images a cluster: a rate that close to 0 or 1 has a wider
    interval than one further off. Where each outcome is its own cluster, the interval is Wilson's
    for `images`.

    Args:
        p: the rate. resampled: (resamples, seeds) the rate of each seed in each resample.
        images: counted images, mean over victims. clusters: those with a counted image.
        outcomes: images times victims times seeds; the effective sample is never larger.

    Returns:
        low and high with 0 <= low <= p <= high <= 1; NaN without a rate.
    """
    if not np.isfinite(p) or images < 1 or clusters < 1:
        return float("nan"), float("nan")
    c = min(clusters, images)
    if c < 2 <= images:
        return 0.0, 1.0  # one cluster says nothing of others
    resampled = finite(resampled)
    if outcomes == clusters:
        effect = 1.0
    elif c * min(p, 1 - p) < MEASURABLE or len(resampled) < 2:
        effect = 1 + (images / c - 1) * ASSUMED_CORRELATION
    else:
        variance = resampled.mean(1).var() * c / (c - 1) + seed_variance(resampled, c)
        effect = variance * (images - 1) / (p * (1 - p))
    few = (t_quantile(images - 1) / t_quantile(c - 1)) ** 2 if c < images else 1.0
    return wilson(p, min(few * images / effect, outcomes) if effect > 0 else outcomes)


def seed_variance(resampled: FloatArray, clusters: float) -> float:
    """What the choice of seeds adds to the variance of their mean, beyond noise of the clusters.

    Two-way analysis of variance, never negative. Resampling seeds as well would count the noise of
    seed by cluster three times (Owen, Ann. Appl. Stat. 1, 2007).

    Args:
        resampled: (resamples, seeds), with the same clusters for all seeds of a resample.
    """
    seeds = resampled.shape[1]
    if seeds == 1:
        return 0.0
    mean = resampled.mean(1, keepdims=True)
    noise = (resampled - mean).var(0).mean() * clusters / (clusters - 1) / (seeds - 1)
    return max(0.0, float(resampled.mean(0).var() / (seeds - 1) - noise))


@lru_cache
def _normal_quantile() -> float:
    return float(scipy.special.ndtri((1 + LEVEL) / 2))


@lru_cache(maxsize=_CACHED)
def t_quantile(freedom: float) -> float:
    """Student's t that 97.5 % of samples stay below, of so many degrees of freedom."""
    return float(scipy.special.stdtrit(freedom, (1 + LEVEL) / 2))


def mean(values: Iterable[float]) -> float:
    """The mean of those that are known; NaN for none.

    Example:
        >>> mean([1.0, float("nan"), 3.0]), mean([])
        (2.0, nan)
    """
    found = np.asarray(list(values), float)
    found = found[~np.isnan(found)]
    with np.errstate(over="ignore"):  # a stranger's metric may be as large as it likes
        return float(found.mean()) if len(found) else float("nan")


def finite(resampled: FloatArray) -> FloatArray:
    """Resamples that have a rate for each seed."""
    return resampled[np.isfinite(resampled).all(1)]


@dataclass(frozen=True)
class RateEstimate:
    """A weighted mean of rates, one column for each victim (of each row pooled).

    Attributes:
        total: (columns, seeds, clusters) outcomes summed within clusters.
        count: (columns, clusters) images that count, the same for all seeds.
        weight: (columns,) in the mean, 1 in all.
        images: in the denominator, mean over victims.

    Example:
        >>> outcomes = np.array([[1.0, 1.0, 0.0, np.nan]])  # of one seed; three images count
        >>> rate = RateEstimate.of([(outcomes, np.arange(4), 1.0)], clusters=4)
        >>> print(f"{rate.value:.3f} [{rate.interval[0]:.3f}, {rate.interval[1]:.3f}]")
        0.667 [0.208, 0.939]
    """

    total: FloatArray
    count: FloatArray
    weight: FloatArray
    images: float

    @classmethod
    def of(
        cls, columns: Sequence[tuple[FloatArray, IntArray, float]], clusters: int, groups: int = 1
    ) -> RateEstimate:
        """From columns of (seeds, n) outcomes, (n,) clusters, and a weight.

        Outcomes are 0 or 1, NaN where an image does not count. Columns without a counted image are
        left out. Where columns differ in their number of seeds, those of each are averaged.

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
    def by_seed(self) -> FloatArray:
        """(seeds,) the rate of each seed; NaN without an image."""
        if not len(self.count):
            return np.full(1, np.nan)
        rates = self.total.sum(2) / self.count.sum(1)[:, None]
        mean: FloatArray = self.weight @ rates
        return mean

    @property
    def value(self) -> float:
        """The rate, 0 to 1; NaN without an image."""
        return float(self.by_seed.mean())

    @cached_property
    def resampled(self) -> FloatArray:
        """(RESAMPLES, seeds) the rate in resampled clusters; NaN where a column has none."""
        columns, seeds, clusters = self.total.shape
        if not columns:
            return np.full((RESAMPLES, 1), np.nan)
        flat = self.total.reshape(columns * seeds, clusters).T.astype(np.float32)
        counts = self.count.T.astype(np.float32)
        parts = []
        for times in _resamples(clusters):
            above = (times @ flat).reshape(-1, columns, seeds)
            with np.errstate(invalid="ignore"):
                rates = above / (times @ counts)[:, :, None]
            parts.append(np.einsum("bks,k->bs", rates, self.weight))
        return np.concatenate(parts)

    @property
    def clusters(self) -> int:
        """Those with a counted image."""
        return int((self.count.sum(0) > 0).sum())

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Low and high, 95 %."""
        outcomes = self.count.sum() * self.total.shape[1]
        return clustered_interval(self.value, self.resampled, self.images, self.clusters, outcomes)

    @cached_property
    def by_cluster(self) -> FloatArray:
        """(clusters,) what each adds to the rate."""
        sizes = np.maximum(self.count.sum(1), 1)
        added: FloatArray = np.einsum("ksc,k->c", self.total, self.weight / sizes)
        return added / len(self.by_seed)


def _resamples(clusters: int) -> Iterator[Counts]:
    """(some, clusters) how often each cluster is in a resample, RESAMPLES in all.

    They are the same for every rate and comparison.
    """
    return iter([_cached(clusters)]) if clusters <= _CACHED else _blocks(clusters)


@lru_cache(maxsize=2)
def _cached(clusters: int) -> Counts:
    return np.concatenate(list(_blocks(clusters)))


def _blocks(clusters: int) -> Iterator[Counts]:
    rng = np.random.default_rng(SEED)
    size = max(1, _BLOCK // clusters)
    for start in range(0, RESAMPLES, size):
        rows = range(min(size, RESAMPLES - start))
        times = [np.bincount(rng.integers(clusters, size=clusters), None, clusters) for _ in rows]
        yield np.array(times, np.float32)


def next_victim(rates: Sequence[float], images: Sequence[float]) -> tuple[float, float]:
    """95 % prediction interval for the rate of one more victim of the same kind.

    Student's on the log odds of the victims' own rates, which vary with the images too; few
    victims say little of the next. NaN for fewer than two.

    Args:
        rates, images: of each transfer victim, its rate and its number of images.
    """
    rate, n = np.asarray(rates, float), np.asarray(images, float)
    known = np.isfinite(rate)
    rate, n = rate[known], n[known]
    if len(rate) < 2:
        return float("nan"), float("nan")
    odds = scipy.special.logit((rate * n + 0.5) / (n + 1))
    half = t_quantile(len(odds) - 1) * odds.std(ddof=1) * np.sqrt(1 + 1 / len(odds))
    low, high = scipy.special.expit(odds.mean() - half), scipy.special.expit(odds.mean() + half)
    return float(low), float(high)
