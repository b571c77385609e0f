"""Gradient-based universal perturbations: one class for the methods of several papers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Self, get_args

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from art.estimators.classification import PyTorchClassifier
from torch import Tensor

from priemo_bench.attacks.base import (
    as_surrogates,
    check_labels,
    require_bool,
    require_eps,
    require_int,
)
from priemo_bench.attacks.filters import as_names, check_filters
from priemo_bench.attacks.surrogate import open_surrogates, predict_ensemble
from priemo_bench.attacks.universal import cos_uap, df_uap, fi_uap, gd_uap, opom, sga, sgd_uap
from priemo_bench.attacks.universal.base import BaseUniversalAttack, Goal
from priemo_bench.attacks.universal.problem import UniversalProblem
from priemo_bench.contracts.image import FloatImages, Labels, check_images
from priemo_bench.errors import PriemoError, require
from priemo_bench.registry import unknown

UniversalScope = Literal["universal", "class"]

METHODS: dict[str, Callable[[UniversalProblem], Tensor]] = {
    "sgd-uap": sgd_uap.fit,
    "sga": sga.fit,
    "df-uap": df_uap.fit,
    "cos-uap": cos_uap.fit,
    "fi-uap": fi_uap.fit,
    "opom": opom.fit,
    "gd-uap": gd_uap.fit,
}
TARGETED_METHODS = ("sgd-uap", "sga", "df-uap")
"""Methods that can be targeted."""


class UniversalAttack(BaseUniversalAttack):
    """One perturbation for all faces, or one per emotion, by the method of one paper.

    Args:
        classifier: ART `PyTorchClassifier` with clip values (0, 1); the first surrogate.
        method: a name in METHODS; each has a file of its own, with its source.
        scope: "universal": one perturbation for all faces; "class": one per emotion, chosen by
            the label or, without labels or targeted, by the prediction of the surrogates.
        eps: linf bound in (0, 1].
        targeted: as in ART, `y` then holds the target, one for all (TARGETED_METHODS).
        goal: of an untargeted fit: "leave" the label, or reach the "rarest" of the labels, which
            protects most where all predictions collapse to one (TARGETED_METHODS).
        surrogates: further PyTorchClassifiers; losses are averaged.
        layer: submodule whose output are the features; None for the default (see `Surrogate`).
        filters: names of defenses, or of sets of them ("set-1"), that the protection is to survive:
            features and logits are the means over a face and what each filter makes of it.
        passes: forward and backward passes over the fit faces.
        batch_size: None for the method's own.
        delta: `converged` when the fooling rate on the fit faces is at least 1 - delta.
        random_state: seed of the order of the faces and of a random start.

    Raises:
        PriemoError: a parameter out of range.

    Example:
        >>> from priemo_bench.attacks.universal import UniversalAttack
        >>> from priemo_bench.testing import toy_classifier, toy_faces
        >>> classifier, (x, y) = toy_classifier(), toy_faces()
        >>> attack = UniversalAttack(classifier, "sga", eps=32 / 255, passes=40, random_state=0)
        >>> protected = attack.fit(x, y).apply(x)
        >>> attack.noise.shape, round(attack.fooling_rate, 2), attack.converged
        ((1, 1, 32, 32), 0.86, True)
    """

    attack_params = [
        *EvasionAttack.attack_params,
        "method", "scope", "eps", "targeted", "goal", "surrogates", "layer", "filters", "passes",
        "batch_size", "delta", "random_state",
    ]  # fmt: skip

    def __init__(
        self,
        classifier: PyTorchClassifier | None,
        method: str = "sga",
        scope: UniversalScope = "universal",
        eps: float = 8 / 255,
        targeted: bool = False,
        goal: Goal = "leave",
        surrogates: tuple[PyTorchClassifier, ...] = (),
        layer: str | None = None,
        passes: int = 25,
        batch_size: int | None = None,
        delta: float = 0.2,
        random_state: int | None = None,
        filters: Sequence[str] = (),
    ) -> None:
        super().__init__(classifier)
        self.method = method
        self.scope = scope
        self.eps = eps
        self._targeted = targeted
        self.goal = goal
        self.surrogates = as_surrogates(surrogates)
        self.layer = layer
        self.passes = passes
        self.batch_size = batch_size
        self.delta = delta
        self.random_state = random_state
        self.filters = as_names(filters)
        self._check_params()

    def fit(self, x: FloatImages, y: object | None = None) -> Self:
        """Fit the perturbation.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1].
            y: labels (n,) or one-hot, the target (one for all) if targeted; None takes the clean
                predictions of the surrogates.
        """
        x = check_images(x)
        clean = self._predict(x)
        given = self._check_y(y, len(x), int(self.estimator.nb_classes))
        labels = clean if given is None else given
        goals = self._goal_labels(labels)
        rows = self._fit_rows(labels, clean)
        generator = torch.Generator().manual_seed(self.random_state or 0)
        count = int(self.estimator.nb_classes) if self.scope == "class" else 1
        noise = np.zeros((count, *x.shape[1:]), np.float32)
        for row in np.unique(rows):
            noise[row] = self._fit_one(x[rows == row], goals[rows == row], generator)
        self.noise = noise
        protected = self._predict(np.clip(x + noise[rows], 0, 1))
        fooled = protected == goals if self._has_target else protected != clean
        self.fooling_rate = float(fooled.mean())
        return self

    def _fit_one(self, x: FloatImages, goals: Labels, generator: torch.Generator) -> FloatImages:
        surrogates = open_surrogates(self.estimator, self.surrogates, self.layer, self.filters)
        device = surrogates[0].device
        problem = UniversalProblem(
            torch.from_numpy(x).to(device),
            torch.from_numpy(goals).to(device),
            self._has_target,
            surrogates,
            self.eps,
            self.passes,
            self.batch_size,
            generator,
        )
        found: FloatImages = METHODS[self.method](problem)[0].cpu().numpy()
        return found

    def _predict(self, x: FloatImages) -> Labels:
        """(n,) classes that the surrogates predict together."""
        surrogates = open_surrogates(self.estimator, self.surrogates, self.layer)
        images = torch.tensor(x, device=surrogates[0].device)
        found: Labels = predict_ensemble(surrogates, images).cpu().numpy()
        return found

    def _fit_rows(self, labels: Labels, clean: Labels) -> Labels:
        """(n,) row of `noise` that each fit face is for."""
        if self.scope == "universal":
            return np.zeros_like(labels)
        return clean if self.targeted else labels

    def _n_rows(self, found: int) -> int:
        if self.scope == "universal":
            return super()._n_rows(found)
        return found if self.estimator is None else int(self.estimator.nb_classes)

    def _noise_rows(self, x: FloatImages, y: object | None) -> Labels:
        if self.scope == "universal":
            return super()._noise_rows(x, y)
        if y is None or self.targeted:
            return self._predict(x)
        assert self.noise is not None
        return check_labels(y, len(x), len(self.noise))

    def _check_params(self) -> None:
        if self.method not in METHODS:
            raise unknown("universal methods", str(self.method), METHODS)
        scopes, goals = get_args(UniversalScope), get_args(Goal)
        require(self.scope in scopes, "scope", self.scope, "'universal' or 'class'")
        require(self.goal in goals, "goal", self.goal, "'leave' or 'rarest'")
        require_eps(self.eps)
        require_bool(self, "targeted")
        check_filters(self.filters)
        require(0 <= self.delta <= 1, "delta", self.delta, "in [0, 1]")
        require_int(self, "passes", *(["batch_size"] if self.batch_size is not None else []))
        if self._has_target and self.method not in TARGETED_METHODS:
            raise PriemoError(
                f"{self.method} cannot be targeted; {', '.join(TARGETED_METHODS)} can"
            )
