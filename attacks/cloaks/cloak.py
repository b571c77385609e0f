"""Base of cloaks: the features of a face approach the mean features of another emotion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from art.estimators.classification import PyTorchClassifier
from rich.progress import track
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from priemo_bench.attacks.base import (
    GradientAttack,
    as_surrogates,
    require_bool,
    require_eps,
    require_int,
)
from priemo_bench.attacks.default_faces import default_faces
from priemo_bench.attacks.surrogate import Surrogate, open_surrogates, predict_ensemble
from priemo_bench.contracts.image import FloatImages, check_images
from priemo_bench.errors import PriemoError


@dataclass(frozen=True)
class ClassMeans:
    """The mean normalised features of the faces that a surrogate predicts as each class.

    Attributes:
        means: (k, d). present: (k,) whether a face was predicted as the class.
    """

    surrogate: Surrogate
    means: Tensor
    present: Tensor

    @classmethod
    def of(cls, surrogate: Surrogate, x: Tensor, batch_size: int) -> ClassMeans:
        """From faces (n, c, h, w); PriemoError where all are predicted as one class."""
        with torch.no_grad():
            outputs = [surrogate(batch) for batch in torch.split(x, batch_size)]
        features = torch.cat([f for f, _ in outputs])
        logits = torch.cat([z for _, z in outputs])
        member = one_hot(logits.argmax(1), logits.shape[1]).to(features.dtype)
        counts = member.sum(0)
        if int((counts > 0).sum()) < 2:
            raise PriemoError(
                "fit() needs faces of two emotions or more, as each surrogate predicts them"
            )
        means = member.T @ normalize(features) / counts.clamp_min(1)[:, None]
        return cls(surrogate, means, counts > 0)

    def features(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to normalised features (n, d)."""
        return normalize(self.surrogate(x)[0])

    def distances(self, features: Tensor) -> Tensor:
        """(n, k) squared distances of features (n, d) from the means, infinite where absent."""
        squared = (features[:, None] - self.means).square().sum(2)
        return squared.masked_fill(~self.present, torch.inf)


class Cloak(GradientAttack):
    """Base of per-image attacks in feature space: `fit` computes class means, `generate` protects.

    Subclasses implement `_run`.

    Args:
        classifier: ART `PyTorchClassifier` with clip values (0, 1); the first surrogate.
        eps: linf bound in (0, 1].
        targeted: as in ART, `y` then holds the targets.
        surrogates: further PyTorchClassifiers.
        layer: submodule whose output are the features; None for the default (see `Surrogate`).
        steps: forward and backward passes per image.
        verbose: show a progress bar.

    Raises:
        PriemoError: a parameter out of range.
    """

    attack_params = [
        *EvasionAttack.attack_params,
        "eps", "targeted", "surrogates", "layer", "steps", "batch_size", "verbose",
    ]  # fmt: skip
    eps: float | None

    def __init__(
        self,
        classifier: PyTorchClassifier,
        eps: float | None = 8 / 255,
        targeted: bool = False,
        surrogates: tuple[PyTorchClassifier, ...] = (),
        layer: str | None = None,
        steps: int = 25,
        batch_size: int = 64,
        verbose: bool = True,
    ) -> None:
        super().__init__(estimator=classifier)
        self.eps = eps
        self._targeted = targeted
        self.surrogates = as_surrogates(surrogates)
        self.layer = layer
        self.steps = steps
        self.batch_size = batch_size
        self.verbose = verbose
        self._means: list[ClassMeans] = []
        self._check_params()

    def fit(self, x: FloatImages, y: object | None = None) -> Self:
        """Compute the class means of each surrogate's features, by its own predictions.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1]. y: not used.

        Raises:
            PriemoError: a surrogate predicts one emotion only.
        """
        images = torch.tensor(check_images(x))
        surrogates = open_surrogates(self.estimator, self.surrogates, self.layer)
        self._means = [ClassMeans.of(s, images.to(s.device), self.batch_size) for s in surrogates]
        return self

    def _forget(self, changed: set[str]) -> None:
        if changed & {"surrogates", "layer"}:
            self._means = []

    def generate(self, x: FloatImages, y: object | None = None) -> FloatImages:
        """Protected images (n, c, h, w), floats in [0, 1]; without `fit`, by the embedded faces.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1], not modified.
            y: labels (n,) or one-hot, the targets if targeted; None takes the clean predictions of
                the surrogates.
        """
        x = check_images(x)
        given = self._check_y(y, len(x), int(self.estimator.nb_classes))
        if not self._means:
            self.fit(default_faces(*x.shape[1:]).numpy())
        starts = range(0, len(x), self.batch_size)
        protected = []
        for start in track(starts, type(self).__name__, disable=not self.verbose, transient=True):
            rows = slice(start, start + self.batch_size)
            images = torch.tensor(x[rows], device=self._means[0].surrogate.device)
            if given is None:
                labels = predict_ensemble([means.surrogate for means in self._means], images)
            else:
                labels = torch.from_numpy(given[rows]).to(images.device)
            self._check_targets(labels)
            protected.append(self._run(images, labels).clamp(0, 1).cpu().numpy())
        return np.concatenate(protected)

    def _run(self, x: Tensor, y: Tensor) -> Tensor:
        """The attack on images (n, c, h, w) with labels or targets `y` (n,)."""
        raise NotImplementedError

    def _check_targets(self, y: Tensor) -> None:
        for means in self._means if self.targeted else []:
            absent = y[~means.present[y]]
            if len(absent):
                raise PriemoError(
                    f"no face given to fit() is predicted as class {int(absent[0])}, so it cannot "
                    "be a target; fit on faces of every emotion"
                )

    def _check_budget(self) -> None:
        if self.eps is None:
            raise PriemoError("eps is None; it must be in (0, 1] (8 grey levels are 8/255)")
        require_eps(self.eps)

    def _check_params(self) -> None:
        self._check_budget()
        require_int(self, "steps", "batch_size")
        require_bool(self, "targeted", "verbose")
