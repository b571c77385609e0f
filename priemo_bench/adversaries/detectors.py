"""Detectors: is this image protected? Each gives a score, the larger the more likely it is.

A threshold comes from clean faces that are not among those judged; `detection` takes it so that a
share of false alarms, 1 % by custom, is exceeded by chance only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt

from priemo_bench.contracts.defense import Defense
from priemo_bench.contracts.image import ByteImages, FloatImages, check_bytes, to_float
from priemo_bench.defenses import Bits, Denoiser, Median, NonLocalMeans
from priemo_bench.errors import PriemoError, require
from priemo_bench.progress import Progress

if TYPE_CHECKING:
    from torch import nn

Scores = npt.NDArray[np.float64]
Predict = Callable[[FloatImages], npt.NDArray[np.float32]]
"""Images (n, c, h, w) in [0, 1] to probabilities (n, k)."""


class Detector(Protocol):
    """What gives a score to published images."""

    def scores(self, images: ByteImages) -> Scores:
        """(n, c, h, w) uint8 to (n,): the larger, the more likely protected."""
        ...


class Detection(NamedTuple):
    """How well protected images are told from clean ones.

    Attributes:
        auroc: the probability that a protected image has the larger score, ties counted half.
        rate: share of protected images above the threshold.
    """

    auroc: float
    rate: float


def threshold(clean_scores: npt.ArrayLike, rate: float = 0.01) -> float:
    """The least of the scores above which no more than a share `rate` of them lie.

    Args:
        clean_scores: (n,) of clean faces other than those judged.
        rate: of false alarms, 0 to 1 (1 excluded).

    Raises:
        PriemoError: no scores, some that are not finite, or a rate outside.

    Example:
        >>> threshold([3, 1, 2, 4], 0.25)
        3.0
    """
    scores = np.sort(_checked(clean_scores, "clean_scores"))
    require(0 <= rate < 1, "rate", rate, "at least 0 and below 1")
    above = int(np.floor(rate * len(scores) + 1e-9))
    return float(scores[len(scores) - 1 - above])


def detection(
    clean_scores: npt.ArrayLike, protected_scores: npt.ArrayLike, limit: float | None = None
) -> Detection:
    """AUROC, and the share of protected images that are found at 1 % false alarms.

    Args:
        clean_scores: (n,) of clean faces, not those that the protected images were made from.
        protected_scores: (m,).
        limit: the threshold, of yet other clean faces; by default that of `clean_scores`.

    Raises:
        PriemoError: no scores, or some that are not finite.

    Example:
        >>> detection([0, 1, 2, 3], [2.5, 4])
        Detection(auroc=0.875, rate=0.5)
    """
    from scipy.stats import rankdata

    clean = _checked(clean_scores, "clean_scores")
    protected = _checked(protected_scores, "protected_scores")
    ranks = rankdata(np.concatenate([protected, clean]))[: len(protected)]
    wins = ranks.sum() - len(protected) * (len(protected) + 1) / 2
    limit = threshold(clean) if limit is None else limit
    auroc = float(wins / (len(protected) * len(clean)))
    return Detection(auroc, float((protected > limit).mean()))


def _checked(scores: npt.ArrayLike, name: str) -> Scores:
    found = np.asarray(scores, np.float64)
    if found.ndim != 1 or len(found) == 0 or not np.isfinite(found).all():
        raise PriemoError(f"{name} must be finite numbers, (n,) with n at least 1")
    return found


@dataclass(frozen=True)
class Squeezing:
    """Feature squeezing: what a filter changes in the prediction (Xu, Evans & Qi 2018, NDSS).

    The largest L1 distance between the probabilities of an image and of the image squeezed. The
    squeezers are the paper's best for colour photos: 5 bits, a median of 2 x 2, non-local means (of
    estimated strength, where the paper's is fixed).

    Attributes:
        predict: the victim, images (n, c, h, w) in [0, 1] to probabilities (n, k).
        squeezers: filters.
    """

    predict: Predict
    squeezers: tuple[Defense, ...] = (Bits(5), Median(2), NonLocalMeans(0.8))

    def scores(self, images: ByteImages) -> Scores:
        """(n, c, h, w) uint8 to (n,), 0 to 2."""
        images = check_bytes(images)
        plain = self.predict(to_float(images)).astype(np.float64)
        apart = [np.abs(self.predict(s(images)) - plain).sum(1) for s in self.squeezers]
        largest: Scores = np.max(apart, axis=0)
        return largest


@dataclass(frozen=True)
class ResidualEnergy:
    """Energy of what a denoiser takes for noise, in squared grey levels a pixel.

    Attributes:
        denoiser: a filter; by default the learned one, which knows clean faces only.
    """

    denoiser: Defense = field(default_factory=Denoiser)

    def scores(self, images: ByteImages) -> Scores:
        """(n, c, h, w) uint8 to (n,)."""
        images = check_bytes(images)
        residual = images / 255.0 - self.denoiser(images)
        energy: Scores = ((255 * residual) ** 2).mean((1, 2, 3))
        return energy


@dataclass(frozen=True, eq=False)
class LearnedDetector:
    """A classifier of protected against clean, learnt from leaked pairs (see `fitted`).

    Attributes:
        net: (1, c, h, w) floats in [0, 1] to a logit (1,), frozen.
    """

    net: nn.Module

    @classmethod
    def fitted(
        cls,
        clean: ByteImages,
        protected: ByteImages,
        seed: int = 0,
        shown: Progress | None = None,
    ) -> Self:
        """Learn from pairs of a clean face and the same protected, a tenth of them held out.

        Args:
            clean, protected: (n, c, h, w) uint8, in the same order.
            seed: of initialisation, mini-batches and the held-out tenth.
            shown: is told of the steps.

        Raises:
            PriemoError: fewer than 20 pairs, or pairs that do not match.
        """
        from priemo_bench.adversaries.pairs import Pairs, fit
        from priemo_bench.adversaries.steganalysis import Classifier, pair_loss

        pairs = Pairs.of(clean, protected, seed)
        net = fit(lambda: Classifier(pairs), pair_loss, pairs, "detector", seed, shown)
        return cls(net)

    def scores(self, images: ByteImages) -> Scores:
        """(n, c, h, w) uint8 to (n,) logits; PriemoError for images of another size."""
        import torch

        with torch.no_grad():
            logits = [self.net(image[None]) for image in torch.from_numpy(to_float(images))]
        found: Scores = torch.cat(logits).double().numpy()
        return found
