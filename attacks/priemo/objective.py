"""The universal feature vectors, and how far an image is from being protected.

For surrogate s with features f, centred by their mean and normalised, c_k is the normalised mean
of the faces that s reads as emotion k: its universal feature vector. Untargeted, an image leaves
its own vector for the nearest other one; targeted, it goes to the target's:

    untargeted   cos(f, c_own) - max_{k != own} cos(f, c_k)
    targeted     max_{k != t} cos(f, c_k) - cos(f, c_t)

The design is ours: the paper's abstract says only "feature vectors". The margin of the logits has
the same form, and both are divided by their mean size on clean faces, so that surrogates add up.
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
LOSSES: tuple[Loss, ...] = ("feature", "logit", "both")

TEMPERATURE, SHARED_TEMPERATURE = 0.25, 0.5
CONFIDENCE = 0.5
"""An image counts as done once its margin is beyond -CONFIDENCE times a clean face's margin."""


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
    """

    centre: Tensor
    means: Tensor
    present: Tensor
    feature_scale: Tensor
    logit_scale: Tensor

    @classmethod
    def of(cls, features: Tensor, logits: Tensor) -> FeatureVectors:
        """From the features (n, d) and logits (n, k) of clean faces."""
        read = logits.argmax(1)
        one_hot = torch.nn.functional.one_hot(read, logits.shape[1]).to(features.dtype)
        centre = features.mean(0)
        f = normalize(features - centre)
        means = normalize(one_hot.T @ f)
        vectors = cls(centre, means, one_hot.any(0), torch.ones(()), torch.ones(()))
        if int(vectors.present.sum()) > 1:
            size = margin(vectors.cosines(features), read, False).abs().mean()
            vectors.feature_scale = size.clamp_min(1e-6)
        vectors.logit_scale = margin(logits, read, False).abs().mean().clamp_min(1e-6)
        return vectors

    def cosines(self, features: Tensor) -> Tensor:
        """(n, d) features to (n, k) cosines with each universal vector, -inf where absent."""
        cosines = normalize(features - self.centre) @ self.means.T
        return cosines.masked_fill(~self.present, -torch.inf)


class Objective:
    """What the scopes minimise: pressure on the scaled margins, summed over the surrogates.

    The pressure of a margin m is softplus(m + CONFIDENCE) where each image has its own
    perturbation. Where one is shared it is a sigmoid, the smooth form of "not protected": a convex
    pressure would settle where faces of two emotions hold each other in balance.
    """

    def __init__(
        self,
        surrogates: Sequence[Surrogate],
        loss: Loss = "both",
        targeted: bool = False,
        shared: bool = False,
    ) -> None:
        self.surrogates = list(surrogates)
        self.loss = loss
        self.targeted = targeted
        self.shared = shared
        self.vectors: list[FeatureVectors] = []

    def learn(self, batches: Iterator[Tensor]) -> Tensor:
        """Learn the universal vectors from clean faces; returns their summed probabilities."""
        seen: list[list[tuple[Tensor, Tensor]]] = [[] for _ in self.surrogates]
        with torch.no_grad():
            for x in batches:
                for surrogate, outputs in zip(self.surrogates, seen, strict=True):
                    outputs.append(surrogate(x))
        joined = [tuple(torch.cat(part) for part in zip(*outputs, strict=True)) for outputs in seen]
        self.vectors = [FeatureVectors.of(features, logits) for features, logits in joined]
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
        loss = score = torch.zeros(len(x), device=x.device)
        for feature, logit in self.margins(x, y, towards):
            score = score + self.pressure(logit)
            if feature is not None:
                loss = loss + self.pressure(feature)
            if self.loss != "feature":
                loss = loss + self.pressure(logit)
        return loss, score.detach()

    def pressure(self, margins: Tensor) -> Tensor:
        """Falls off once a margin is safely negative, so that one surrogate cannot take all."""
        if self.shared:
            return torch.sigmoid(margins / SHARED_TEMPERATURE)
        return softplus((margins + CONFIDENCE) / TEMPERATURE)
