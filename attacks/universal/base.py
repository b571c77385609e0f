"""Base of attacks with one perturbation, or one per emotion, that is fitted once and then added."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from art.estimators.classification import PyTorchClassifier

from priemo_bench.attacks.base import FittedAttack
from priemo_bench.attacks.serialization import noise_array
from priemo_bench.contracts.image import SLACK, FloatImages, Labels, check_images
from priemo_bench.contracts.storage import Tensors
from priemo_bench.errors import PriemoError

Goal = Literal["leave", "rarest"]
"""Of an untargeted fit: leave the label, or reach the rarest one."""


class BaseUniversalAttack(FittedAttack):
    """Base of universal attacks within a linf bound: `apply`, `generate`, `converged`, files.

    Subclasses set `eps`, `goal` and `delta`, and implement `fit`, which sets `noise` and
    `fooling_rate`.

    Attributes:
        noise: (1 or classes, c, h, w) perturbations, within eps; None before `fit`.
    """

    goal: Goal
    delta: float

    def __init__(self, classifier: PyTorchClassifier | None) -> None:
        super().__init__(estimator=classifier)
        self.noise: FloatImages | None = None

    @property
    def converged(self) -> bool:
        """Whether the fooling rate on the fit faces is at least 1 - delta."""
        return self.fooling_rate is not None and self.fooling_rate >= 1 - self.delta

    def fit(self, x: FloatImages, y: object | None = None) -> Self:
        """Fit the perturbation on faces (n, 1 or 3, h, w) in [0, 1]."""
        raise NotImplementedError

    def apply(self, x: FloatImages, y: object | None = None) -> FloatImages:
        """Add the fitted perturbation and clip to [0, 1], without a gradient.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1].
            y: labels (n,) or one-hot, for scope class only; see the class.

        Raises:
            PriemoError: not fitted, or on images of another shape.
        """
        x = check_images(x)
        if self.noise is None:
            raise PriemoError("apply() needs a fitted perturbation: call fit() first")
        if x.shape[1:] != self.noise.shape[1:]:
            raise PriemoError(
                f"x has images of {x.shape[1:]}; the perturbation is {self.noise.shape[1:]}"
            )
        protected: FloatImages = np.clip(x + self.noise[self._noise_rows(x, y)], 0, 1)
        return protected

    def generate(self, x: FloatImages, y: object | None = None) -> FloatImages:
        """`apply` to `x`, after `fit` on it unless fitted before."""
        self._fit_unless_fitted(x, y)
        return self.apply(x, y)

    def _forget(self, changed: set[str]) -> None:
        if changed - {"verbose", "batch_size", "delta"}:
            self.noise = self.fooling_rate = None
            self._fitted_on_purpose = False

    @property
    def _has_target(self) -> bool:
        return self.targeted or self.goal == "rarest"

    def _goal_labels(self, labels: Labels) -> Labels:
        """(n,) labels to leave, or targets; PriemoError for several targets."""
        if self.targeted and len(np.unique(labels)) > 1:
            raise PriemoError("one perturbation can have one target only: give the same for all")
        if self.targeted or self.goal == "leave":
            return labels
        counts = np.bincount(labels, minlength=int(self.estimator.nb_classes))
        return np.full_like(labels, counts.argmin())

    def _state(self) -> tuple[Tensors, str]:
        if self.noise is None:
            return {}, ""
        return {"noise": self.noise}, "x".join(map(str, self.noise.shape[1:]))

    def _restore(self, tensors: Tensors, image: str) -> None:
        noise = noise_array(tensors, "noise", image)
        if len(noise) != self._n_rows(len(noise)):
            raise ValueError(f"it holds {len(noise)} perturbations")
        largest = float(np.abs(noise).max())
        if largest > self.eps + SLACK:
            raise ValueError(f"it changes pixels by {largest:g}, more than its eps {self.eps:g}")
        self.noise = noise

    def _n_rows(self, found: int) -> int:
        """Rows that a saved `noise` must have, of which `found` are there."""
        return 1

    def _noise_rows(self, x: FloatImages, y: object | None) -> Labels:
        """(n,) row of `noise` for each face."""
        return np.zeros(len(x), np.int64)
