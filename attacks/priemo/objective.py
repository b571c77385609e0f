"""The universal feature vectors of Pri-EMO, and the loss that its scopes minimise.

For surrogate s with features f, centred by their mean and normalised, c_k is the normalised mean
of the faces that s predicts as emotion k: its universal feature vector. Untargeted, an image
leaves its own vector for the nearest other one; targeted, it approaches the target's. Both
minimise a margin of the cosines:

    untargeted   cos(f, c_own) - max_{k != own} cos(f, c_k)
    targeted     max_{k != t} cos(f, c_k) - cos(f, c_t)

Distance "whitened" takes the cosines after whitening the features by their scatter within
emotions. The design is ours: the paper's abstract says only "feature vectors". The margin of the
logits has the same form, and both are divided by their mean absolute value on clean faces, so that
surrogates can be summed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize, softplus

from priemo_bench.attacks.filters import Filter, all_views
from priemo_bench.attacks.surrogate import Surrogate
from priemo_bench.contracts.predict import margin
from priemo_bench.errors import PriemoError

FeatureLoss = Literal["feature", "logit", "both"]
Distance = Literal["cosine", "whitened"]
Weighting = Literal["sum", "worst"]

TEMPERATURE, UNIVERSAL_TEMPERATURE = 0.25, 0.5
ORDER = 4
"""Of the norm over views: survival counts the worst of them, and 1 is their sum."""
EXPOSED = 1e3
"""Score of a view in which the label is still read: above any penalty."""
SHRINKAGE = 0.1
"""Of the scatter within emotions towards a multiple of the identity, before inversion."""


@dataclass
class FeatureVectors:
    """One surrogate's universal feature vectors and the scales of its clean margins.

    Attributes:
        centre: (d,) mean feature. means: (k, d) normalised class means; a row of zeros, and
            `present[k]` False, where no face is predicted as k.
        feature_scale, logit_scale: mean absolute clean margins, scalars.
        whitening: (d, d) matrix that centred features are multiplied by, or None.
    """

    centre: Tensor
    means: Tensor
    present: Tensor
    feature_scale: Tensor
    logit_scale: Tensor
    whitening: Tensor | None = None

    @classmethod
    def of(cls, features: Tensor, logits: Tensor, distance: Distance = "cosine") -> FeatureVectors:
        """From the features (n, d) and logits (n, k) of clean faces."""
        predicted = logits.argmax(1)
        one_hot = torch.nn.functional.one_hot(predicted, logits.shape[1]).to(features.dtype)
        vectors = cls(
            features.mean(0), features[:0], one_hot.any(0), torch.ones(()), torch.ones(())
        )
        if distance == "whitened":
            vectors.whitening = _whitening(features, one_hot)
        vectors.means = normalize(one_hot.T @ vectors.directions(features))
        if int(vectors.present.sum()) > 1:
            scale = margin(vectors.cosines(features), predicted).abs().mean()
            vectors.feature_scale = scale.clamp_min(1e-6)
        vectors.logit_scale = margin(logits, predicted).abs().mean().clamp_min(1e-6)
        return vectors

    def check(self, classes: int) -> None:
        """ValueError unless all fit together, and a surrogate of so many classes."""
        size = self.centre.numel()
        shapes: dict[str, tuple[int, ...]] = {
            "centre": (size,), "means": (classes, size), "present": (classes,),
            "feature_scale": (1,), "logit_scale": (1,), "whitening": (size, size),
        }  # fmt: skip
        for name, shape in shapes.items():
            value: Tensor | None = getattr(self, name)
            dtype = torch.bool if name == "present" else torch.float32
            if value is not None and ((value.shape or (1,)) != shape or value.dtype != dtype):
                raise ValueError(f"{name} is {value.dtype} of shape {tuple(value.shape)}")
        if not (self.feature_scale > 0 and self.logit_scale > 0):
            raise ValueError("a scale of its margins is not positive")

    def directions(self, features: Tensor) -> Tensor:
        """(n, d) features centred, whitened for that distance, and normalised."""
        centred = features - self.centre
        return normalize(centred if self.whitening is None else centred @ self.whitening)

    def cosines(self, features: Tensor) -> Tensor:
        """(n, d) features to (n, k) cosines with each universal vector, -inf where absent."""
        cosines = self.directions(features) @ self.means.T
        return cosines.masked_fill(~self.present, -torch.inf)


def _whitening(features: Tensor, one_hot: Tensor) -> Tensor:
    """Inverse square root (d, d) of the scatter of features (n, d) within classes, shrunk."""
    counts = one_hot.sum(0).clamp_min(1)
    within = features - one_hot @ ((one_hot.T @ features) / counts[:, None])
    scatter = within.T @ within / len(features)
    identity = scatter.diagonal().mean().clamp_min(1e-12) * torch.eye(len(scatter)).to(scatter)
    values, axes = torch.linalg.eigh((1 - SHRINKAGE) * scatter + SHRINKAGE * identity)
    whitening: Tensor = axes * values.rsqrt() @ axes.T
    return whitening


def softplus_penalty(margins: Tensor, confidence: float) -> Tensor:
    """Smooth hinge, for images with a perturbation each.

    Vanishes once a margin is below -confidence times that of a clean face (kappa of Carlini &
    Wagner 2017), so that one surrogate cannot dominate once it is fooled.
    """
    return softplus((margins + confidence) / TEMPERATURE)


def sigmoid_penalty(margins: Tensor) -> Tensor:
    """Smooth 0-1 loss, for universal perturbations.

    A convex penalty has a stationary point where the gradients of two classes cancel.
    """
    return torch.sigmoid(margins / UNIVERSAL_TEMPERATURE)


class Objective:
    """The loss of all scopes: a penalty of the scaled margins, over one or several surrogates.

    Args:
        surrogates: models to fool.
        penalty: of margins (n,), elementwise and increasing.
        loss: penalty of the "feature" margins, of the "logit" margins, or the sum of "both".
        targeted: whether labels are targets.
        distance: of features, as for `FeatureVectors.of`.
        weighting: over surrogates, the "sum" or for each image the "worst".
        filters: of the victim. A surrogate then has several views of an image, the image itself and
            what each filter makes of it, whose penalties count by their norm of ORDER.
    """

    def __init__(
        self,
        surrogates: Sequence[Surrogate],
        penalty: Callable[[Tensor], Tensor],
        *,
        loss: FeatureLoss = "both",
        targeted: bool = False,
        distance: Distance = "cosine",
        weighting: Weighting = "sum",
        filters: Sequence[Filter] = (),
    ) -> None:
        self.surrogates = list(surrogates)
        self.penalty = penalty
        self.loss = loss
        self.targeted = targeted
        self.distance = distance
        self.weighting = weighting
        self.filters = list(filters)
        self.vectors: list[FeatureVectors] = []

    def without_filters(self) -> Objective:
        """The same of the images alone, with the same universal vectors."""
        plain = copy(self)
        plain.filters = []
        return plain

    def of_logits(self) -> Objective:
        """The same by the logit margin alone."""
        plain = copy(self)
        plain.loss = "logit"
        return plain

    def serves(self, y: Tensor) -> bool:
        """Whether there are universal vectors for labels or targets `y` (n,)."""
        try:
            self.check_labels(y)
        except PriemoError:
            return False
        return True

    def fit(self, batches: Iterable[Tensor]) -> Tensor:
        """Compute the universal vectors from clean faces; (n,) classes predicted together."""
        outputs: list[list[tuple[Tensor, Tensor]]] = [[] for _ in self.surrogates]
        with torch.no_grad():
            for x in batches:
                for surrogate, found in zip(self.surrogates, outputs, strict=True):
                    found.append(surrogate(x))
        features = [torch.cat([f for f, _ in found]) for found in outputs]
        logits = [torch.cat([z for _, z in found]) for found in outputs]
        self.vectors = [
            FeatureVectors.of(f, z, self.distance) for f, z in zip(features, logits, strict=True)
        ]
        return torch.stack([z.softmax(1) for z in logits]).sum(0).argmax(1)

    def check_labels(self, y: Tensor) -> None:
        """PriemoError when the vectors cannot serve labels or targets `y` (n,)."""
        for vectors in self.vectors if self.loss != "logit" else []:
            if int(vectors.present.sum()) < 2:
                raise PriemoError(
                    "fit() needs faces of two emotions or more, as each surrogate predicts them"
                )
            absent = sorted(set(y.tolist()) - set(vectors.present.nonzero()[:, 0].tolist()))
            if self.targeted and absent:
                raise PriemoError(
                    f"no face given to fit() is predicted as class {absent[0]}, so it cannot be a "
                    "target; fit on faces of every emotion"
                )

    def margins(
        self, x: Tensor, y: Tensor, other: Tensor | None = None
    ) -> Iterator[tuple[Tensor | None, Tensor]]:
        """Per surrogate the scaled feature margins (None for loss "logit") and logit margins.

        Both (views n,) for images `x` (n, c, h, w), one view after the other.
        """
        sign = -1 if self.targeted else 1
        views = 1 + len(self.filters)
        x, y = all_views(x, self.filters), y.repeat(views)
        other = None if other is None else other.repeat(views)
        for surrogate, vectors in zip(self.surrogates, self.vectors, strict=True):
            features, logits = surrogate(x)
            by_logit = sign * margin(logits, y, other) / vectors.logit_scale
            if self.loss == "logit":
                yield None, by_logit
                continue
            cosines = vectors.cosines(features)
            if not self.targeted:  # an own emotion without a vector cannot be left: nearest counts
                cosines = cosines.masked_fill(~vectors.present, -2.0)
            yield sign * margin(cosines, y, other) / vectors.feature_scale, by_logit

    def runners_up(self, x: Tensor, y: Tensor) -> Tensor:
        """(n, k - 1) classes other than `y` (n,), by falling sum of the scaled logits."""
        with torch.no_grad():
            pairs = zip(self.surrogates, self.vectors, strict=True)
            scores = torch.stack([s(x)[1] / v.logit_scale for s, v in pairs]).sum(0)
        others = scores.scatter(1, y[:, None], -torch.inf)
        return others.argsort(1, descending=True)[:, :-1]

    def exposure(self, x: Tensor, y: Tensor) -> Tensor:
        """(n,) in how many views some surrogate predicts the label, or misses the target.

        The image itself counts as much as all filters together and one more: no filter is worth the
        protection from a victim without one.
        """
        views = all_views(x, self.filters)
        with torch.no_grad():
            predicted = torch.stack([s(views)[1].argmax(1) for s in self.surrogates])
        reached = predicted == y.repeat(1 + len(self.filters))
        return self._exposure(~reached if self.targeted else reached, len(x))

    def __call__(self, x: Tensor, y: Tensor, other: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The loss (n,), and a score (n,) of the logits alone that ranks results.

        Args:
            x: (n, c, h, w) images. y: (n,) labels or targets.
            other: (n,) the one class that margins compare with, instead of the best of all others.
        """
        losses, scores, exposed = [], [], []
        for feature, logit in self.margins(x, y, other):
            by_logit = self.penalty(logit)
            scores.append(by_logit.detach())
            exposed.append(logit.detach() > 0)
            if feature is None:
                losses.append(by_logit)
            elif self.loss == "feature":
                losses.append(self.penalty(feature))
            else:
                losses.append(self.penalty(feature) + by_logit)
        score = self._over_pairs(scores, len(x))
        if self.filters:
            score = score + EXPOSED * self._exposure(torch.stack(exposed), len(x))
        return self._over_pairs(losses, len(x)), score

    def _over_pairs(self, penalties: list[Tensor], n: int) -> Tensor:
        """(n,) of the penalties (views n,) of each surrogate."""
        stacked = torch.stack(penalties)
        if self.filters:
            by_view = stacked.reshape(len(stacked), -1, n)
            stacked = torch.linalg.vector_norm(by_view, ORDER, dim=1)
        return stacked.sum(0) if self.weighting == "sum" else stacked.amax(0)

    def _exposure(self, exposed: Tensor, n: int) -> Tensor:
        """`exposure` (n,) of what is exposed (surrogates, views n)."""
        views = exposed.reshape(len(exposed), -1, n).any(0)
        found: Tensor = views.sum(0) + len(self.filters) * views[0]
        return found
