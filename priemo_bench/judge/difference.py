"""Paired differences of rates, and the correction for many comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # loads scipy.special when it is first used

from priemo_bench.contracts.outcomes import FloatArray
from priemo_bench.judge.levels import EXACT_BELOW
from priemo_bench.judge.statistics import RateEstimate, finite, seed_variance, t_quantile


@dataclass(frozen=True)
class Difference:
    """One rate less another, with its 95 % interval and p-value.

    Attributes:
        exact: whether `p` is of a sign test, for few clusters that differ.
    """

    value: float
    low: float
    high: float
    p: float
    exact: bool = False


def difference(a: RateEstimate, b: RateEstimate, same_seeds: bool = False) -> Difference:
    """a - b, paired: each resample has the same clusters for both.

    Interval and p-value are Student's, of the standard error of the resampled difference. Where
    fewer than EXACT_BELOW clusters differ at all, p is that of an exact sign test on these (for one
    victim and independent images McNemar's).

    Args:
        a, b: over the same clusters, in the same order.
        same_seeds: whether seed s of one belongs to seed s of the other.

    Source: Efron & Tibshirani 1993, ch. 8; Field & Welsh, J. R. Stat. Soc. B 69 (2007).
    """
    value = a.value - b.value
    c = int(((a.count.sum(0) + b.count.sum(0)) > 0).sum())
    if not np.isfinite(value) or c < 2:
        return Difference(value, float("nan"), float("nan"), 1.0)
    error = _standard_error(a, b, c, same_seeds)
    half = t_quantile(c - 1) * error
    by_cluster = a.by_cluster - b.by_cluster
    differing = by_cluster[np.abs(by_cluster) > 1e-12]
    exact = len(differing) < EXACT_BELOW
    if exact:
        p = _sign_test(differing)
    else:
        p = float(2 * scipy.special.stdtr(c - 1, -abs(value) / error)) if error else 0.0
    return Difference(value, value - half, value + half, p, exact)


def _standard_error(a: RateEstimate, b: RateEstimate, clusters: int, same_seeds: bool) -> float:
    paired = a.resampled.mean(1) - b.resampled.mean(1)
    variance = np.nanvar(paired) * clusters / (clusters - 1)
    if same_seeds and a.resampled.shape == b.resampled.shape:
        variance += seed_variance(finite(a.resampled - b.resampled), clusters)
    else:
        variance += sum(seed_variance(finite(x.resampled), clusters) for x in (a, b))
    return float(np.sqrt(variance))


def _sign_test(differences: FloatArray) -> float:
    """Two-sided p-value; 1 for no difference at all."""
    n = len(differences)
    fewer = min(int((differences > 0).sum()), int((differences < 0).sum()))
    return min(1.0, 2 * float(scipy.special.bdtr(fewer, n, 0.5))) if n else 1.0


def holm(p: Sequence[float]) -> FloatArray:
    """p-values of several tests, adjusted so that all of them hold at once.

    Source: Holm, Scand. J. Stat. 6 (1979).

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
        [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, float)
    order = values.argsort()
    stepped = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.maximum.accumulate(stepped).clip(max=1) if len(values) else stepped
    return adjusted
