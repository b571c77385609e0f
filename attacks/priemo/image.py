"""Scope image: one perturbation for each image, optimised against all surrogates at once."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Unpack

import torch
from rich.progress import track
from torch import Tensor

from priemo_bench.attacks.base import require_int, require_number
from priemo_bench.attacks.default_faces import default_faces
from priemo_bench.attacks.priemo.attack import PriEMO, SharedParams
from priemo_bench.attacks.priemo.descent import Descent
from priemo_bench.attacks.priemo.input_transforms import input_diversity, smooth_gradient
from priemo_bench.attacks.priemo.objective import Objective, softplus_penalty
from priemo_bench.attacks.priemo.quantisation import match
from priemo_bench.attacks.surrogate import input_gradient
from priemo_bench.contracts.attack import Scope
from priemo_bench.contracts.image import EMOTIONS, FloatImages, publish, to_float
from priemo_bench.errors import require
from priemo_bench.quality.structural import blocks

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier

FIRST_STEP, LAST_STEP = 0.5, 0.05
"""Step sizes at the start and the end, in radii of the feasible set."""
LONGER = 4
"""Factor of the steps for an image that did not reach its target."""


class ImagePriEMO(PriEMO):
    """Scope image: steepest descent with momentum in the metric of the budget, for each image.

    `fit` computes the universal feature vectors; `generate` optimises.

    Args:
        classifier, scope, shared: as for `PriEMO`.
        steps: forward and backward passes per image and restart.
        restarts: untargeted, how many times an image that a surrogate still classifies correctly
            is restarted towards another emotion. Targeted, images that miss the target are
            optimised once more with LONGER times the steps; 0 for none. With filters, only images
            that are not protected without one are restarted, without filters.
        momentum: decay of the mean gradient, in [0, 1).
        diversity: probability in [0, 1] that the input of a step is transformed (input diversity):
            for transfer to other classifiers, at some cost on the surrogates.
        translation: standard deviation in pixels of a blur of the gradients (translation
            invariance); 0 for none.
        confidence: margin beyond the decision boundary up to which an image is optimised, in mean
            margins of clean faces.

    Raises:
        PriemoError: a parameter out of range.

    Example:
        >>> from priemo_bench.attacks import ImagePriEMO
        >>> from priemo_bench.testing import toy_classifier, toy_faces
        >>> x, y = toy_faces(7)
        >>> attack = ImagePriEMO(toy_classifier(), steps=2, restarts=0, verbose=False)
        >>> attack.fit(*toy_faces(14)).generate(x, y).shape
        (7, 1, 32, 32)
    """

    scope: Scope = "image"
    attack_params = [
        *PriEMO.attack_params,
        "steps", "restarts", "momentum", "diversity", "translation", "confidence",
    ]  # fmt: skip

    def __init__(
        self,
        classifier: PyTorchClassifier | None,
        scope: Scope | None = None,
        *,
        steps: int = 25,
        restarts: int = 6,
        momentum: float = 0.75,
        diversity: float = 0.0,
        translation: float = 0.0,
        confidence: float = 0.5,
        **shared: Unpack[SharedParams],
    ) -> None:
        super().__init__(classifier, scope, **shared)
        self.steps = steps
        self.restarts = restarts
        self.momentum = momentum
        self.diversity = diversity
        self.translation = translation
        self.confidence = confidence
        self._check_params()

    def _penalty(self, margins: Tensor) -> Tensor:
        return softplus_penalty(margins, self.confidence)

    def _fit_unless_fitted(self, x: FloatImages, y: object | None) -> None:
        if self._objective is None:
            self._objective = self._new_objective()
            faces = default_faces(*x.shape[1:]).to(self._device)
            self._objective.fit(torch.split(faces, self.batch_size))

    def _forget(self, changed: set[str]) -> None:
        """What was fitted stays where the surrogates and their features do."""
        if changed & {"surrogates", "layer", "distance"}:
            super()._forget(changed)
        elif self._objective is not None:
            vectors = self._objective.vectors
            self._objective = self._new_objective()
            self._objective.vectors = vectors

    def _objective_for(self, labels: Tensor) -> Objective:
        """The objective for labels or targets (n,), of logits alone where its vectors lack one."""
        objective = self._objective or self._new_objective()
        if self._fitted_on_purpose:
            objective.check_labels(labels)
            return objective
        own = all(s.classes == len(EMOTIONS) for s in objective.surrogates)
        if objective.serves(labels) if own else self.loss == "logit":
            return objective
        warnings.warn(
            "the embedded faces give no feature vectors for this classifier and these labels: the "
            "logit margin takes their place; call fit() with faces of your own, or set "
            "loss='logit'",
            stacklevel=5,
        )
        return objective.of_logits()

    def _protect(
        self, x: FloatImages, y: object | None, mask: FloatImages | None = None
    ) -> FloatImages:
        images = torch.from_numpy(to_float(publish(x))).to(self._device)
        labels = self._labels(y, images)
        objective = self._objective_for(labels)
        masks = None if mask is None else torch.from_numpy(mask).to(images.device)
        size = max(1, self.batch_size // (1 + len(objective.filters)))
        rows = torch.split(torch.arange(len(images), device=images.device), size)
        protected = torch.cat([
            self._run(images[own], labels[own], objective, _of(masks, own))
            for own in track(rows, "Pri-EMO", disable=not self.verbose, transient=True)
        ])  # fmt: skip
        self._tell_unchanged(int((protected == images).flatten(1).all(1).sum()), len(images))
        return protected.cpu().numpy()

    def _tell_unchanged(self, unchanged: int, n: int) -> None:
        if unchanged:
            warnings.warn(
                f"{unchanged} of {n} images came back unchanged: no gradient of the classifier "
                "reaches them, or the mask or the budget leaves them no change",
                stacklevel=6,
            )

    def _run(self, x: Tensor, y: Tensor, objective: Objective, mask: Tensor | None) -> Tensor:
        """Published images for `x` (n, c, h, w) on the 8-bit grid, labels or targets `y` (n,).

        Nothing is changed where a mask (n, c, h, w) is 0.

        With filters, an image that is then not protected without one is searched for without them:
        no protection from a victim that does not filter is given up for the others. Restarts are
        kept for that; with filters they cost much and add little.
        """
        if not objective.filters:
            return self._search(x, y, objective, mask)
        found = self._optimise(x, y, objective, self.steps, mask)
        exposure = objective.exposure(found, y)
        rows = (exposure > len(objective.filters)).nonzero()[:, 0]
        if len(rows):
            plain = self._search(x[rows], y[rows], objective.without_filters(), _of(mask, rows))
            better = objective.exposure(plain, y[rows]) < exposure[rows]
            found[rows[better]] = plain[better]
        return found

    def _search(self, x: Tensor, y: Tensor, objective: Objective, mask: Tensor | None) -> Tensor:
        """Published images of one descent, without filters, and of restarts where it failed.

        Untargeted the descent may have ended in a local minimum: it is repeated towards one other
        emotion after the other. Targeted the target may be far: it is repeated once with more
        steps.
        """
        protected = self._optimise(x, y, objective, self.steps, mask)
        if not self.restarts:
            return protected
        rows = objective.exposure(protected, y).nonzero()[:, 0]
        if not len(rows):
            return protected
        if self.targeted:
            longer = LONGER * self.steps
            protected[rows] = self._optimise(x[rows], y[rows], objective, longer, _of(mask, rows))
            return protected
        others = objective.runners_up(x[rows], y[rows])
        for k in range(min(self.restarts, others.shape[1])):
            own = _of(mask, rows)
            again = self._optimise(x[rows], y[rows], objective, self.steps, own, others[:, k])
            failed = objective.exposure(again, y[rows]) > 0
            protected[rows[~failed]] = again[~failed]
            rows, others = rows[failed], others[failed]
            if not len(rows):
                break
        return protected

    def _optimise(
        self, x: Tensor, y: Tensor, objective: Objective, steps: int, mask: Tensor | None,
        other: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """One descent, whose margins compare with class `other` (n,), or with the best other one.

        Loss and gradient are taken at the quantised image: at an SSIM drop of .003 most changes are
        below two grey levels, and their rounding decides. The perturbation of the lowest score is
        matched to the budget; with input diversity, whose scores are random, the last one.

        Costs `steps` forward and backward passes through every surrogate, and one forward pass.
        """
        parts = blocks(len(x), x[:1].numel(), x.device)
        descents = [Descent(x[rows], self.budget, self.momentum, _of(mask, rows)) for rows in parts]
        generator = torch.Generator().manual_seed(self.random_state or 0)
        for step in range(steps):
            quantised = torch.cat([descent.quantised for descent in descents]).requires_grad_()
            inputs = input_diversity(quantised, self.diversity, generator)
            loss, score = objective(inputs, y, other)
            gradient = input_gradient(loss, quantised)
            gradient = smooth_gradient(gradient, self.translation)
            size = FIRST_STEP + (LAST_STEP - FIRST_STEP) * step / max(steps - 1, 1)
            for descent, rows in zip(descents, parts, strict=True):
                descent.step(gradient[rows], score[rows], size)
        found = [descent.d for descent in descents]
        if not self.diversity:
            quantised = torch.cat([descent.quantised for descent in descents])
            with torch.no_grad():
                score = objective(quantised, y, other)[1]
            pairs = zip(descents, parts, strict=True)
            found = [descent.best(score[rows]) for descent, rows in pairs]
        return match(x, (x + torch.cat(found)).clamp(0, 1), self.budget)

    def _check_params(self) -> None:
        super()._check_params()
        require_int(self, "steps")
        require_int(self, "restarts", low=0)
        require(0 <= self.momentum < 1, "momentum", self.momentum, "in [0, 1)")
        require_number(self, "diversity", high=1)
        require_number(self, "translation", "confidence")


def _of(mask: Tensor | None, rows: Tensor | slice) -> Tensor | None:
    return None if mask is None else mask[rows]
