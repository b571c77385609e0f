"""How well emotions are protected: rates with intervals, collapse, and paired comparison.

Every function takes equally long arrays with one entry per row of the predictions table (one row
is one protected image read by one victim): `label`, `clean` and `prediction` are indices into
EMOTIONS, `target` too (-1 where a row has none). `persons` names the person on the picture, or the
picture where persons are not known, and counts for the intervals. Where an image stands in several
rows (seeds), `images` names it: its rows are averaged first, so that seeds never widen a sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

from priemo_bench.images import EMOTIONS

Array = npt.NDArray[Any]
Outcomes = npt.NDArray[np.float64]

ENOUGH = 20
"""Correctly read faces an emotion needs to have a say in the macro rate."""

_Z = float(ndtri(0.975))


def wilson(k: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % score interval for `k` successes in `n` trials; (0, 1) when n is 0.

    `k` may be fractional: a share over images, counted over persons.
    Source: Wilson, J. Am. Stat. Assoc. 22 (1927); Brown, Cai & DasGupta, Stat. Sci. 16 (2001).
    """
    if n == 0:
        return 0.0, 1.0
    p, z2 = k / n, _Z**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * np.sqrt(max(p * (1 - p), 0) / n + z2 / (4 * n**2))
    low = 0.0 if k <= 0 else float(centre - half)
    high = 1.0 if k >= n else float(centre + half)
    return low, high


@dataclass(frozen=True)
class Rate:
    """A share of images with its Wilson 95 % interval.

    Attributes:
        value: the share, NaN when the denominator is empty.
        low, high: the interval.
        n: images in the denominator.
        persons: distinct persons among them, the n of the interval.
    """

    value: float
    low: float
    high: float
    n: int
    persons: int

    def __float__(self) -> float:
        return self.value


def protected(label: Array, clean: Array, prediction: Array, target: Array | None = None) -> Array:
    """1 where an image that was read as its label no longer is, 0 where it still is; float64.

    NaN where the row does not count: read wrongly when clean, or labelled as its own target.
    """
    counts = clean == label
    if target is not None:
        counts = counts & (label != target)
    return np.where(counts, prediction != label, np.nan)


def hit(label: Array, clean: Array, prediction: Array, target: Array) -> Array:
    """1 where an image is read as its target, else 0; NaN where it was labelled or read so."""
    counts = (target >= 0) & (label != target) & (clean != target)
    return np.where(counts, prediction == target, np.nan)


def share(outcome: Array, persons: Array, images: Array | None = None) -> Rate:
    """The mean of an outcome array (NaN left out), seeds averaged per image first."""
    counts = ~np.isnan(outcome)
    n_persons = len(np.unique(persons[counts]))
    values = outcome[counts]
    if images is not None:
        values = per_image(outcome, images).dropna().to_numpy()
    value = float(values.mean()) if len(values) else float("nan")
    low, high = wilson(value * n_persons, n_persons)
    return Rate(value, low, high, len(values), n_persons)


def per_image(outcome: Array, images: Array) -> pd.Series[float]:
    """Mean outcome of each image over its rows; NaN rows left out, index sorted image names."""
    return pd.Series(outcome, dtype=float).groupby(np.asarray(images)).mean()


def protection_rate(
    label: Array,
    clean: Array,
    prediction: Array,
    persons: Array,
    target: Array | None = None,
    images: Array | None = None,
) -> Rate:
    """Of the images read correctly when clean, the share no longer read as their emotion.

    With `target`, faces labelled as the target are left out.
    """
    return share(protected(label, clean, prediction, target), persons, images)


def flip_rate(clean: Array, prediction: Array, persons: Array, images: Array | None = None) -> Rate:
    """Share of all images whose prediction changes, right or wrong."""
    return share((clean != prediction).astype(float), persons, images)


def targeted_rate(
    label: Array,
    clean: Array,
    prediction: Array,
    target: Array,
    persons: Array,
    images: Array | None = None,
) -> Rate:
    """Of the images neither labelled nor read as the target, the share read as it."""
    return share(hit(label, clean, prediction, target), persons, images)


def macro_protection_rate(
    label: Array,
    clean: Array,
    prediction: Array,
    target: Array | None = None,
    images: Array | None = None,
    enough: int = ENOUGH,
) -> tuple[float, tuple[str, ...]]:
    """Mean over emotions of the protection rate, and the names of the emotions left out.

    An emotion counts when at least `enough` of its faces are read correctly when clean; the rate
    is NaN when none does. With `target`, the target emotion has no faces and is left out.
    """
    images = np.arange(len(label)) if images is None else images
    outcome = protected(label, clean, prediction, target)
    rates, left_out = [], []
    for k, name in enumerate(EMOTIONS):
        own = per_image(outcome[label == k], images[label == k]).dropna()
        if len(own) >= enough:
            rates.append(own.mean())
        else:
            left_out.append(name)
    return (float(np.mean(rates)) if rates else float("nan")), tuple(left_out)


def collapse(prediction: Array) -> tuple[str, float]:
    """The emotion predicted most often, and its share of all predictions."""
    counts = np.bincount(prediction, minlength=len(EMOTIONS))
    return EMOTIONS[int(counts.argmax())], float(counts.max() / counts.sum())


@dataclass(frozen=True)
class Difference:
    """mean(a) - mean(b) with a 95 % percentile interval of the paired cluster bootstrap."""

    value: float
    low: float
    high: float

    @property
    def tied(self) -> bool:
        """Whether the interval includes zero: the two share a rank."""
        return bool(self.low <= 0 <= self.high)


def paired_bootstrap(
    a: Array, b: Array, clusters: Array, draws: int = 2000, seed: int = 0
) -> Difference:
    """Difference of two methods on the same images, whole persons drawn with replacement.

    Args:
        a, b: (n,) outcome per image, averaged over seeds (and victims); NaN where it does not
            count for that method.
        clusters: (n,) person of each image.
        draws, seed: resamples, and the seed they come from: equal calls give equal intervals.

    Source: Efron & Tibshirani 1993, ch. 8; Field & Welsh, J. R. Stat. Soc. B 69 (2007).
    """
    _, cluster = np.unique(clusters, return_inverse=True)
    n = int(cluster.max()) + 1
    weights = _weights(n, draws, seed)

    def means(outcome: Array) -> Outcomes:
        """The plain mean, then one for each draw."""
        counts = ~np.isnan(outcome)
        total = np.bincount(cluster, np.where(counts, outcome, 0), n)
        size = np.bincount(cluster, counts, n)
        every = np.vstack([np.ones(n), weights])
        with np.errstate(invalid="ignore"):  # a draw without a counting image says nothing
            return (every @ total) / (every @ size)

    difference = means(np.asarray(a, float)) - means(np.asarray(b, float))
    low, high = np.nanpercentile(difference[1:], [2.5, 97.5])
    return Difference(float(difference[0]), float(low), float(high))


@lru_cache(maxsize=2)
def _weights(n: int, draws: int, seed: int) -> Array:
    """(draws, n) how often each of `n` clusters is drawn: the same for every comparison."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws)
