"""Universal perturbations learned by gradients, one front for the recipes of several papers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from torch import Tensor

from priemo_bench.attacks.base import as_labels, require_eps, require_truth, require_whole
from priemo_bench.attacks.surrogate import Surrogate, reading
from priemo_bench.attacks.universal import cos_uap, df_uap, fi_uap, gd_uap, opom, sga, sgd_uap
from priemo_bench.attacks.universal.base import UniversalNoise
from priemo_bench.attacks.universal.task import Task
from priemo_bench.contracts.image import FloatImages, Labels, check_images
from priemo_bench.errors import PriemoError, require
from priemo_bench.registry import unknown

Scope = Literal["universal", "class"]
Goal = Literal["leave", "rarest"]

METHODS: dict[str, Callable[[Task], Tensor]] = {
    "sgd-uap": sgd_uap.learn,
    "sga": sga.learn,
    "df-uap": df_uap.learn,
    "cos-uap": cos_uap.learn,
    "fi-uap": fi_uap.learn,
    "opom": opom.learn,
    "gd-uap": gd_uap.learn,
}
AIMED = ("sgd-uap", "sga", "df-uap")
"""Methods that can go towards a chosen emotion."""


class UniversalAttack(UniversalNoise):
    """A perturbation for all faces, or for those of each emotion, by the recipe of one paper.

    Args:
        classifier: ART `PyTorchClassifier` with clip values (0, 1); the first surrogate.
        method: a name in METHODS; each has a file of its own, with its source.
        scope: "universal": one perturbation for all faces; "class": one for each emotion.
        eps: largest change of a pixel in (0, 1].
        targeted: as in ART, `y` is then the emotion to be read (methods in AIMED).
        goal: what an untargeted fit wants: "leave" the own emotion, or go to the "rarest" among
            the labels, where a collapse protects most (methods in AIMED).
        surrogates: further PyTorchClassifiers to look into; their losses are averaged.
        layer: submodule whose output are the features; None finds them (see `Surrogate`).
        passes: forward and backward passes over the fit faces.
        batch_size: None for the paper's (SGA's: see there).
        delta: `converged` when the fooling rate on the fit faces is at least 1 - delta.
        random_state: seed of the order of the faces and of a random start.

    Raises:
        PriemoError: for parameters outside these.
    """

    attack_params = [
        *EvasionAttack.attack_params,
        "method", "scope", "eps", "targeted", "goal", "surrogates", "layer", "passes",
        "batch_size", "delta", "random_state",
    ]  # fmt: skip

    def __init__(
        self,
        classifier: Any,
        method: str = "sga",
        scope: Scope = "universal",
        eps: float = 8 / 255,
        targeted: bool = False,
        goal: Goal = "leave",
        surrogates: tuple[Any, ...] = (),
        layer: str | None = None,
        passes: int = 25,
        batch_size: int | None = None,
        delta: float = 0.2,
        random_state: int | None = None,
    ) -> None:
        super().__init__(classifier)
        self.method = method
        self.scope = scope
        self.eps = eps
        self._targeted = targeted
        self.goal = goal
        self.surrogates = tuple(surrogates)
        self.layer = layer
        self.passes = passes
        self.batch_size = batch_size
        self.delta = delta
        self.random_state = random_state
        self._check_params()

    def fit(self, x: np.ndarray, y: np.ndarray | None = None) -> UniversalAttack:
        """Learn the perturbation.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1]. y: labels (n,) or one-hot, the target (one for
                all) if targeted; None takes what the surrogates read.
        """
        x = check_images(x)
        read = self._read(x)
        labels = self._labels(y, read)
        groups = self._grouped(labels, read)
        goals = self._goals(labels)
        generator = torch.Generator().manual_seed(self.random_state or 0)
        noise = np.zeros((int(self.estimator.nb_classes) if self.scope == "class" else 1,
                          *x.shape[1:]), np.float32)  # fmt: skip
        for group in np.unique(groups):
            rows = groups == group
            noise[group] = self._learn(x[rows], goals[rows], generator)
        self.noise = noise
        now = self._read(np.clip(x + noise[groups], 0, 1))
        aimed = self.targeted or self.goal == "rarest"
        self.fooling_rate = float((now == goals if aimed else now != read).mean())
        return self

    def _learn(self, x: FloatImages, goals: Labels, generator: torch.Generator) -> FloatImages:
        surrogates = self._open()
        device = surrogates[0].device
        task = Task(
            torch.from_numpy(x).to(device),
            torch.from_numpy(goals).to(device),
            self.targeted or self.goal == "rarest",
            surrogates,
            self.eps,
            self.passes,
            self.batch_size,
            generator,
        )
        found: FloatImages = METHODS[self.method](task)[0].cpu().numpy()
        return found

    def _open(self) -> list[Surrogate]:
        if self.estimator is None:
            raise PriemoError("this needs a classifier: load(path, classifier)")
        return [Surrogate(c, self.layer) for c in (self.estimator, *self.surrogates)]

    def _read(self, x: FloatImages) -> Labels:
        """(n,) what the surrogates together read."""
        surrogates = self._open()
        images = torch.from_numpy(x).to(surrogates[0].device)
        found: Labels = reading(surrogates, images).cpu().numpy()
        return found

    def _labels(self, y: np.ndarray | None, read: Labels) -> Labels:
        given = self._given(y, len(read), int(self.estimator.nb_classes))
        labels = read if given is None else given
        if self.targeted and len(np.unique(labels)) > 1:
            raise PriemoError("one perturbation can have one target only: give the same for all")
        return labels

    def _goals(self, labels: Labels) -> Labels:
        """(n,) emotions to leave, or to reach."""
        if self.targeted or self.goal == "leave":
            return labels
        counts = np.bincount(labels, minlength=int(self.estimator.nb_classes))
        return np.full_like(labels, counts.argmin())

    def _grouped(self, labels: Labels, read: Labels) -> Labels:
        """(n,) which perturbation each face of the fit is for."""
        if self.scope == "universal":
            return np.zeros_like(labels)
        return read if self.targeted else labels

    def _groups(self, x: FloatImages, y: np.ndarray | None) -> Labels:
        """Scope class: by the label given or, without one or targeted, by what is read."""
        if self.scope == "universal":
            return super()._groups(x, y)
        if y is None or self.targeted:
            return self._read(x)
        assert self.noise is not None
        return as_labels(y, len(x), len(self.noise))

    def _check_params(self) -> None:
        if self.method not in METHODS:
            raise unknown("universal methods", str(self.method), METHODS)
        require(self.scope in get_args(Scope), "scope", self.scope, "'universal' or 'class'")
        require(self.goal in get_args(Goal), "goal", self.goal, "'leave' or 'rarest'")
        require_eps(self.eps)
        require_truth(self, "targeted")
        require(0 <= self.delta <= 1, "delta", self.delta, "in [0, 1]")
        require_whole(self, "passes", *(["batch_size"] if self.batch_size is not None else []))
        if (self.targeted or self.goal == "rarest") and self.method not in AIMED:
            raise PriemoError(f"{self.method} cannot go towards an emotion; {', '.join(AIMED)} can")
