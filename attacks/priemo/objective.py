"""The universal feature vectors, and how far an image is from being protected.

For surrogate s with features f, centred by their mean and normalised, c_k is the normalised mean
of the faces that s reads as emotion k: its universal feature vector. Untargeted, an image leaves
its own vector for the nearest other one; targeted, it goes to the target's:

    untargeted   cos(f, c_own) - max_{k != own} cos(f, c_k)
    targeted     max_{k != t} cos(f, c_k) - cos(f, c_t)

Distance "whitened" takes the cosines after the features were divided by how they scatter within
emotions. The design is ours: the paper's abstract says only "feature vectors". The margin of the
logits has the same form, and both are divided by their mean size on clean faces, so that surrogates
add up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize, softplus

from priemo_bench.attacks.surrogate import Surrogate
from priemo_bench.errors import PriemoError

Loss = Literal["feature", "logit", "both"]
Distance = Literal["cosine", "whitened"]
Weighting = Literal["sum", "worst"]

TEMPERATURE, SHARED_TEMPERATURE = 0.25, 0.5
SHRINKAGE = 0.1
"""Of the scatter within emotions towards a ball, before it is inverted."""


def margin(scores: Tensor, y: Tensor, targeted: bool, towards: Tensor | None = None) -> Tensor:
    """(n, k) scores and (n,) labels or targets to (n,) margins, negative once protected.

    Untargeted, `towards` (n,) is the one other emotion that counts; None is the best of all.
    """
    chosen = scores.gather(1, y[:, None]).squeeze(1)
    if towards is not None:
        others = scores.gather(1, towards[:, None]).squeeze(1)
    else:
        others = scores.scatter(1, y[:, None], -torch.inf).amax(1)
    return others - chosen if targeted else chosen - others


@dataclass
class FeatureVectors:
    """One surrogate's universal feature vectors and the sizes of its clean margins.

    Attributes:
        centre: (d,) mean feature. means: (k, d) normalised class means; a row of zeros and
            `present[k]` False where no face is read as k.
        feature_scale, logit_scale: mean clean margins, scalars.
        whitening: (d, d) what centred features are multiplied by, or None.
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
        read = logits.argmax(1)
        one_hot = torch.nn.functional.one_hot(read, logits.shape[1]).to(features.dtype)
        vectors = cls(
            features.mean(0), features[:0], one_hot.any(0), torch.ones(()), torch.ones(())
        )
        if distance == "whitened":
            vectors.whitening = _whitening(features, one_hot)
        vectors.means = normalize(one_hot.T @ vectors.directions(features))
        if int(vectors.present.sum()) > 1:
            size = margin(vectors.cosines(features), read, False).abs().mean()
            vectors.feature_scale = size.clamp_min(1e-6)
        vectors.logit_scale = margin(logits, read, False).abs().mean().clamp_min(1e-6)
        return vectors

    def directions(self, features: Tensor) -> Tensor:
        """(n, d) features centred, whitened where asked for, and normalised."""
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
    ball = scatter.diagonal().mean().clamp_min(1e-12) * torch.eye(len(scatter)).to(scatter)
    values, axes = torch.linalg.eigh((1 - SHRINKAGE) * scatter + SHRINKAGE * ball)
    whitening: Tensor = axes * values.rsqrt() @ axes.T
    return whitening


class Objective:
    """What the scopes minimise: pressure on the scaled margins, of all surrogates or the worst.

    The pressure of a margin m is softplus(m + confidence) where each image has its own
    perturbation: an image counts as done once its margin is beyond -confidence times that of a
    clean face (Carlini & Wagner's kappa). Where one is shared it is a sigmoid, the smooth form of
    "not protected": a convex pressure would settle where faces of two emotions hold each other in
    balance.
    """

    def __init__(
        self,
        surrogates: Sequence[Surrogate],
        loss: Loss = "both",
        targeted: bool = False,
        shared: bool = False,
        distance: Distance = "cosine",
        weighting: Weighting = "sum",
        confidence: float = 0.5,
    ) -> None:
        self.surrogates = list(surrogates)
        self.loss = loss
        self.targeted = targeted
        self.shared = shared
        self.distance = distance
        self.weighting = weighting
        self.confidence = confidence
        self.vectors: list[FeatureVectors] = []

    def learn(self, batches: Iterator[Tensor]) -> Tensor:
        """Learn the universal vectors from clean faces; returns their summed probabilities."""
        seen: list[list[tuple[Tensor, Tensor]]] = [[] for _ in self.surrogates]
        with torch.no_grad():
            for x in batches:
                for surrogate, outputs in zip(self.surrogates, seen, strict=True):
                    outputs.append(surrogate(x))
        joined = [tuple(torch.cat(part) for part in zip(*outputs, strict=True)) for outputs in seen]
        self.vectors = [FeatureVectors.of(f, logits, self.distance) for f, logits in joined]
        return torch.stack([logits.softmax(1) for _, logits in joined]).sum(0)

    def check(self, y: Tensor) -> None:
        """PriemoError when the vectors cannot serve labels or targets `y`."""
        for vectors in self.vectors if self.loss != "logit" else []:
            if int(vectors.present.sum()) < 2:
                raise PriemoError("fit() needs faces of two emotions or more, as a surrogate reads")
            absent = sorted(
                {int(k) for k in y.unique()} - set(vectors.present.nonzero()[:, 0].tolist())
            )
            if self.targeted and absent:
                raise PriemoError(
                    f"no face given to fit() is read as class {absent[0]}, so it cannot be a "
                    "target; fit on faces of every emotion"
                )

    def margins(
        self, x: Tensor, y: Tensor, towards: Tensor | None = None
    ) -> Iterator[tuple[Tensor | None, Tensor]]:
        """Per surrogate the scaled feature margins (None for loss "logit") and logit margins."""
        for surrogate, vectors in zip(self.surrogates, self.vectors, strict=True):
            features, logits = surrogate(x)
            own = margin(logits, y, self.targeted, towards) / vectors.logit_scale
            if self.loss == "logit":
                yield None, own
                continue
            cosines = vectors.cosines(features)
            if not self.targeted:  # an own emotion without a vector cannot be left: nearest counts
                cosines = cosines.masked_fill(~vectors.present, -2.0)
            yield margin(cosines, y, self.targeted, towards) / vectors.feature_scale, own

    def nearest(self, x: Tensor, y: Tensor) -> Tensor:
        """(n, k - 1) the emotions other than `y`, the one that the surrogates read next first."""
        with torch.no_grad():
            pairs = zip(self.surrogates, self.vectors, strict=True)
            scores = torch.stack([s(x)[1] / v.logit_scale for s, v in pairs]).sum(0)
        others = scores.scatter(1, y[:, None], -torch.inf)
        return others.argsort(1, descending=True)[:, :-1]

    def missed(self, x: Tensor, y: Tensor) -> Tensor:
        """(n,) whether some surrogate still reads the label, or does not read the target."""
        with torch.no_grad():
            read = torch.stack([surrogate(x)[1].argmax(1) for surrogate in self.surrogates])
        return ((read != y) if self.targeted else (read == y)).any(0)

    def __call__(
        self, x: Tensor, y: Tensor, towards: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Images (n, c, h, w), labels or targets (n,) to the loss (n,) and the score (n,).

        The loss is to be differentiated; the score ranks results by the logits alone, since a
        recogniser's reading is what protection is judged by.
        """
        losses, scores = [], []
        for feature, logit in self.margins(x, y, towards):
            by_logit = self.pressure(logit)
            scores.append(by_logit.detach())
            if feature is None:
                losses.append(by_logit)
            elif self.loss == "feature":
                losses.append(self.pressure(feature))
            else:
                losses.append(self.pressure(feature) + by_logit)
        return self._over_surrogates(losses), self._over_surrogates(scores)

    def _over_surrogates(self, pressures: list[Tensor]) -> Tensor:
        stacked = torch.stack(pressures)
        return stacked.sum(0) if self.weighting == "sum" else stacked.amax(0)

    def pressure(self, margins: Tensor) -> Tensor:
        """Falls off once a margin is safely negative, so that one surrogate cannot take all."""
        if self.shared:
            return torch.sigmoid(margins / SHARED_TEMPERATURE)
        return softplus((margins + self.confidence) / TEMPERATURE)
