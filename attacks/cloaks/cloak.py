"""What cloaks share: features of a face go to the mean features of an emotion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from rich.progress import track
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from priemo_bench.attacks.base import AimedAttack, require_eps, require_truth, require_whole
from priemo_bench.attacks.surrogate import Surrogate, reading
from priemo_bench.contracts.image import FloatImages, check_images
from priemo_bench.errors import PriemoError


@dataclass(frozen=True)
class Means:
    """One surrogate, and the mean of its normalised features over the faces read as each emotion.

    Attributes:
        means: (k, d); present: (k,) whether there was a face.
    """

    surrogate: Surrogate
    means: Tensor
    present: Tensor

    def features(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to normalised features (n, d)."""
        return normalize(self.surrogate(x)[0])

    def distances(self, features: Tensor) -> Tensor:
        """(n, k) squared distances of features to the means, infinite where there is none."""
        found = (features[:, None] - self.means).square().sum(2)
        return found.masked_fill(~self.present, torch.inf)


class Cloak(AimedAttack):
    """Base of per-image attacks in feature space: `fit` learns the means, `generate` cloaks.

    Subclasses add what their paper has, and implement `_cloak`.

    Args:
        classifier: ART `PyTorchClassifier` with clip values (0, 1); the first surrogate.
        eps: largest change of a pixel in (0, 1].
        targeted: as in ART, `y` are then the emotions to be read.
        surrogates: further PyTorchClassifiers to look into.
        layer: submodule whose output are the features; None finds them (see `Surrogate`).
        steps: forward and backward passes an image.

    Raises:
        PriemoError: for parameters outside these.
    """

    attack_params = [
        *EvasionAttack.attack_params,
        "eps", "targeted", "surrogates", "layer", "steps", "batch_size", "verbose",
    ]  # fmt: skip

    def __init__(
        self,
        classifier: Any,
        eps: float = 8 / 255,
        targeted: bool = False,
        surrogates: tuple[Any, ...] = (),
        layer: str | None = None,
        steps: int = 25,
        batch_size: int = 64,
        verbose: bool = True,
    ) -> None:
        super().__init__(estimator=classifier)
        self.eps = eps
        self._targeted = targeted
        self.surrogates = tuple(surrogates)
        self.layer = layer
        self.steps = steps
        self.batch_size = batch_size
        self.verbose = verbose
        self._means: list[Means] = []
        self._check_params()

    def fit(self, x: np.ndarray, y: np.ndarray | None = None) -> Cloak:
        """Learn the mean features of each emotion, as each surrogate reads the faces `x`.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1]. y: not looked at.

        Raises:
            PriemoError: a surrogate reads one emotion only.
        """
        x = check_images(x)
        means = []
        for classifier in (self.estimator, *self.surrogates):
            surrogate = Surrogate(classifier, self.layer)
            images = torch.from_numpy(x).to(surrogate.device)
            with torch.no_grad():
                seen = [surrogate(part) for part in images.split(self.batch_size)]
            features, logits = (torch.cat(part) for part in zip(*seen, strict=True))
            of = one_hot(logits.argmax(1), logits.shape[1]).to(features.dtype)
            counts = of.sum(0)
            if int((counts > 0).sum()) < 2:
                raise PriemoError("fit() needs faces of two emotions or more, as a surrogate reads")
            centres = of.T @ normalize(features) / counts.clamp_min(1)[:, None]
            means.append(Means(surrogate, centres, counts > 0))
        self._means = means
        return self

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> FloatImages:
        """Protected images, floats in [0, 1]; with the means of `fit`, or of `x` without it.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1]. y: labels (n,) or one-hot, the targets if
                targeted; None takes what the surrogates read.
        """
        x = check_images(x)
        labels = self._given(y, len(x), int(self.estimator.nb_classes))
        if not self._means:
            self.fit(x)
        starts = range(0, len(x), self.batch_size)
        done = []
        for start in track(starts, type(self).__name__, disable=not self.verbose, transient=True):
            rows = slice(start, start + self.batch_size)
            images = torch.from_numpy(x[rows]).to(self._means[0].surrogate.device)
            if labels is None:
                own = reading([means.surrogate for means in self._means], images)
            else:
                own = torch.from_numpy(labels[rows]).to(images.device)
            self._check_targets(own)
            done.append(self._cloak(images, own).clamp(0, 1).cpu().numpy())
        return np.concatenate(done)

    def _cloak(self, x: Tensor, y: Tensor) -> Tensor:
        """Images (n, c, h, w) with labels or targets `y` (n,) to cloaked ones."""
        raise NotImplementedError

    def _check_targets(self, y: Tensor) -> None:
        for means in self._means if self.targeted else []:
            absent = y[~means.present[y]]
            if len(absent):
                raise PriemoError(
                    f"no face given to fit() is read as class {int(absent[0])}, so it cannot be a "
                    "target; fit on faces of every emotion"
                )

    def _check_budget(self) -> None:
        require_eps(self.eps)

    def _check_params(self) -> None:
        self._check_budget()
        require_whole(self, "steps", "batch_size")
        require_truth(self, "targeted", "verbose")
