"""ART's universal attacks: fitted once on some faces, applied to any.

ART 1.20 has only `generate`, adds its noise to images without clipping them, reports `converged`
as False when the goal is reached in the last pass, and takes an eps of its own for the inner
attack. Here the model reads clipped images, one `eps` in [0, 1] units holds for both attacks, and
`fit`, `apply`, `noise`, `fooling_rate` and `converged` are as those of any universal attack here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from art.attacks.attack import EvasionAttack
from art.attacks.evasion import TargetedUniversalPerturbation, UniversalPerturbation

from priemo_bench.attacks.adapter import STEP
from priemo_bench.attacks.art_adapter import accepted, art_class
from priemo_bench.attacks.base import require_eps, require_truth, require_whole, seeded
from priemo_bench.attacks.losses import LOSSES, Loss, sibling
from priemo_bench.attacks.preset import Preset
from priemo_bench.attacks.universal.base import UniversalNoise
from priemo_bench.contracts.attack import EPS_GRID, Traits
from priemo_bench.contracts.image import FloatImages, Labels, check_images
from priemo_bench.errors import PriemoError, require
from priemo_bench.registry import unknown

Goal = Literal["leave", "rarest"]
DEEPFOOL = {"max_iter": 10, "epsilon": 0.02}
"""As in the code of Moosavi-Dezfooli et al.; ART's own are 100 and 1e-6."""


class ArtUniversal(UniversalNoise):
    """`UniversalPerturbation` or, towards one emotion, `TargetedUniversalPerturbation` of ART.

    Moosavi-Dezfooli et al. 2017, arXiv:1610.08401; Hirano & Takemoto 2020, arXiv:1911.06502.

    Args:
        classifier: ART `PyTorchClassifier` with clip values (0, 1).
        attacker: ART's name of the inner attack: "deepfool", "pgd", "fgsm" ...; towards one
            emotion only "fgsm" or "simba".
        eps: largest change of a pixel in (0, 1], of the inner attack too.
        targeted: as in ART, `y` is then the emotion to be read, the same for all faces.
        goal: what an untargeted fit wants: "leave" the own emotion, or go to the "rarest" among
            the labels (with a shared perturbation most faces end in one emotion anyway).
        loss: of the inner attack's gradient, "cross_entropy" or "margin"; DeepFool has its own.
        n_fit: at most this many faces, drawn with `random_state`, are learned from.
        delta: the fit ends when the fooling rate is at least 1 - delta.
        max_iter: passes over the fit faces at most.
        attacker_params: further arguments of the inner attack.
        random_state: seed of the draw and of ART's (global) generators, put back after.

    Raises:
        PriemoError: for parameters outside these.
    """

    attack_params = [
        *EvasionAttack.attack_params,
        "attacker", "eps", "targeted", "goal", "loss", "n_fit", "delta", "max_iter", "batch_size",
        "attacker_params", "random_state", "verbose",
    ]  # fmt: skip

    def __init__(
        self,
        classifier: Any,
        attacker: str = "deepfool",
        eps: float = 8 / 255,
        targeted: bool = False,
        goal: Goal = "leave",
        loss: Loss = "cross_entropy",
        n_fit: int = 200,
        delta: float = 0.2,
        max_iter: int = 10,
        batch_size: int = 64,
        attacker_params: Mapping[str, Any] | None = None,
        random_state: int | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(classifier)
        self.attacker = attacker
        self.eps = eps
        self._targeted = targeted
        self.goal = goal
        self.loss = loss
        self.n_fit = n_fit
        self.delta = delta
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.attacker_params = dict(attacker_params or {})
        self.random_state = random_state
        self.verbose = verbose
        self._check_params()

    def fit(self, x: np.ndarray, y: np.ndarray | None = None) -> ArtUniversal:
        """Learn the perturbation.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1]. y: labels (n,) or one-hot, the target (one for
                all) if targeted; None takes what the classifier reads.
        """
        if self.estimator is None:
            raise PriemoError("fit() needs a classifier: load(path, classifier)")
        x = check_images(x)
        rows = np.random.default_rng(self.random_state).permutation(len(x))[: self.n_fit]
        attack = self._build()
        with seeded(self.random_state):  # ART's data loaders draw even where it only predicts
            labels = self._labels(x, y)
        one_hot = np.eye(self.estimator.nb_classes, dtype=np.float32)[labels]
        with seeded(self.random_state):
            attack.generate(x[rows], one_hot[rows])
        self.noise = np.clip(attack.noise, -self.eps, self.eps).astype(np.float32)
        rate = attack.targeted_success_rate if self.targeted else attack.fooling_rate
        self.fooling_rate = float(rate)
        return self

    def _labels(self, x: FloatImages, y: np.ndarray | None) -> Labels:
        classes = self.estimator.nb_classes
        labels = self._given(y, len(x), classes)
        if labels is None:
            labels = self.estimator.predict(x, batch_size=self.batch_size).argmax(1)
        if self.targeted and len(np.unique(labels)) > 1:
            raise PriemoError("one perturbation can have one target only: give the same for all")
        if not self.targeted and self.goal == "rarest":
            return np.full_like(labels, np.bincount(labels, minlength=classes).argmin())
        return labels

    def _build(self) -> Any:
        towards = self.targeted or self.goal == "rarest"
        make = TargetedUniversalPerturbation if towards else UniversalPerturbation
        if self.attacker not in make.attacks_dict:
            raise unknown(f"{make.__name__} attackers", self.attacker, make.attacks_dict)
        inner = art_class(make.attacks_dict[self.attacker].rsplit(".", 1)[1])
        common = {"batch_size": self.batch_size, "verbose": self.verbose}
        defaults = {
            "eps": self.eps, "eps_step": self.eps * STEP, "max_iter": 10, "targeted": towards,
            **(DEEPFOOL if self.attacker == "deepfool" else {}), **common,
        }  # fmt: skip
        params = accepted(inner, self.attacker_params, defaults, {"classifier", "estimator"})
        outer = {
            "attacker": self.attacker, "attacker_params": params, "delta": self.delta,
            "max_iter": self.max_iter, "eps": self.eps, **({} if towards else common),
        }  # fmt: skip
        return make(sibling(self.estimator, self.loss, clipped=True), **outer)

    def _check_params(self) -> None:
        require_eps(self.eps)
        require_truth(self, "targeted")
        require(0 <= self.delta <= 1, "delta", self.delta, "in [0, 1]")
        require(self.goal in ("leave", "rarest"), "goal", self.goal, "'leave' or 'rarest'")
        require_whole(self, "n_fit", "max_iter", "batch_size")
        if self.loss not in LOSSES:
            raise unknown("loss functions", str(self.loss), LOSSES)
        if self.estimator is not None:
            self._build()


_TRAITS = Traits("universal", "universal", "one", knob="eps", strengths=EPS_GRID, random=True)

uap = Preset(ArtUniversal, _TRAITS, {"attacker": "deepfool"})
uap_pgd = Preset(ArtUniversal, _TRAITS, {"attacker": "pgd"})
uap_fgsm = Preset(ArtUniversal, _TRAITS, {"attacker": "fgsm"})
uap_targeted = Preset(
    ArtUniversal,
    Traits("universal", "universal", "one", True, "eps", EPS_GRID, random=True),
    {"attacker": "fgsm", "goal": "rarest"},
)
"""Untargeted it goes to the rarest emotion, where a collapse protects most."""
