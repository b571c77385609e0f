"""What perturbations that are learned once, then added to any face, have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np

from priemo_bench.attacks.base import FittedAttack
from priemo_bench.attacks.universal import serialization as noise_file
from priemo_bench.contracts.image import FloatImages, Labels, check_images
from priemo_bench.errors import PriemoError


class UniversalNoise(FittedAttack):
    """Base of universal attacks within linf `eps`: `apply`, `generate`, `converged`, files.

    Subclasses set `eps` and `delta`, and implement `fit`, which leaves `noise` and `fooling_rate`.

    Attributes:
        noise: (1 or groups, c, h, w) what is added, within eps; None before `fit`.
        fooling_rate: share of the fit faces on which it does what was asked.
    """

    delta: float

    def __init__(self, classifier: Any) -> None:
        super().__init__(estimator=classifier)
        self.noise: FloatImages | None = None
        self.fooling_rate: float | None = None

    @property
    def converged(self) -> bool:
        """Whether the perturbation reached its goal on at least 1 - delta of the fit faces."""
        return self.fooling_rate is not None and self.fooling_rate >= 1 - self.delta

    def fit(self, x: np.ndarray, y: np.ndarray | None = None) -> Self:
        """Learn the perturbation from faces (n, 1 or 3, h, w) in [0, 1]."""
        raise NotImplementedError

    def apply(self, x: np.ndarray, y: np.ndarray | None = None) -> FloatImages:
        """Add the fitted perturbation and clip to [0, 1]: no gradient.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1]. y: looked at only where there is one
                perturbation for each emotion; see the class.
        """
        x = check_images(x)
        if self.noise is None:
            raise PriemoError("apply() needs a fitted perturbation: call fit() first")
        if x.shape[1:] != self.noise.shape[1:]:
            raise PriemoError(
                f"x has images of {x.shape[1:]}; the perturbation is {self.noise.shape[1:]}"
            )
        return np.clip(x + self.noise[self._groups(x, y)], 0, 1)

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> FloatImages:
        """`apply` to `x`, after `fit` on it unless fitted before."""
        return (self if self.noise is not None else self.fit(x, y)).apply(x, y)

    def save(self, path: str | Path) -> None:
        """Write the fitted perturbation as safetensors, with what is needed to use it again."""
        arrays = {} if self.noise is None else {"noise": self.noise}
        image = "" if self.noise is None else "x".join(map(str, self.noise.shape[1:]))
        noise_file.save(self, Path(path), arrays, image)

    @classmethod
    def load(cls, path: str | Path, classifier: Any = None) -> Self:
        """Read what `save` wrote; without a classifier it can only `apply`."""
        attack, arrays, _ = noise_file.load(cls, Path(path), classifier)
        attack.noise = arrays["noise"]
        return attack

    def _groups(self, x: FloatImages, y: np.ndarray | None) -> Labels:
        """(n,) which perturbation each face gets."""
        return np.zeros(len(x), np.int64)
