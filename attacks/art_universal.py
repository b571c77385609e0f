"""ART's universal attacks, fitted once on some faces and applied to any.

ART 1.20 has only `generate`, adds its noise to images without clipping, reports `converged` as
False when the goal is reached in the last pass, and has a second eps for the inner attack. Here the
model gets clipped images, one `eps` in [0, 1] holds for both, and `fit`, `apply`, `noise`,
`fooling_rate` and `converged` are those of every universal attack of the project.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self, get_args

import numpy as np
from art.attacks.attack import EvasionAttack
from art.attacks.evasion import TargetedUniversalPerturbation, UniversalPerturbation
from art.estimators.classification import PyTorchClassifier

from priemo_bench.attacks.adapter import RELATIVE_STEP
from priemo_bench.attacks.art_adapter import art_attack_class, keyword_arguments, refusals
from priemo_bench.attacks.base import require_bool, require_eps, require_int, temporary_seed
from priemo_bench.attacks.losses import LOSSES, LossName, with_loss
from priemo_bench.attacks.universal.base import BaseUniversalAttack, Goal
from priemo_bench.contracts.attack import EPS_GRID, Traits
from priemo_bench.contracts.image import FloatImages, check_images
from priemo_bench.contracts.preset import Preset
from priemo_bench.errors import PriemoError, require
from priemo_bench.registry import unknown

DEEPFOOL = {"max_iter": 10, "epsilon": 0.02}
"""As in the code of Moosavi-Dezfooli et al.; ART's defaults are 100 and 1e-6."""


class ArtUniversal(BaseUniversalAttack):
    """ART's `UniversalPerturbation` or, with a target, its `TargetedUniversalPerturbation`.

    Moosavi-Dezfooli et al. 2017, arXiv:1610.08401; Hirano & Takemoto 2020, arXiv:1911.06502.

    Args:
        classifier: ART `PyTorchClassifier` with clip values (0, 1).
        attacker: ART's name of the inner attack: "deepfool", "pgd", "fgsm" ...; with a target
            only "fgsm" or "simba".
        eps: linf bound in (0, 1], of the inner attack too.
        targeted: as in ART, `y` then holds the target, one for all.
        goal: of an untargeted fit: "leave" the label, or reach the "rarest" of the labels, as
            predictions under a universal perturbation mostly collapse to one class anyway.
        loss: of the inner attack, "cross_entropy" or "margin"; DeepFool has its own.
        n_fit: at most this many faces, sampled with `random_state`, are fitted on.
        delta: the fit ends when the fooling rate is at least 1 - delta.
        max_iter: passes over the fit faces at most.
        attacker_params: further arguments of the inner attack.
        random_state: seed of the sample and of the global generators that ART uses.

    Raises:
        PriemoError: a parameter out of range or that does not exist.

    Example:
        >>> from priemo_bench.attacks.art_universal import ArtUniversal
        >>> from priemo_bench.testing import toy_classifier, toy_faces
        >>> classifier, (x, y) = toy_classifier(), toy_faces()
        >>> attack = ArtUniversal(classifier, "fgsm", max_iter=1, random_state=0).fit(x)
        >>> attack.apply(x).shape == x.shape
        True
    """

    attack_params = [
        *EvasionAttack.attack_params,
        "attacker", "eps", "targeted", "goal", "loss", "n_fit", "delta", "max_iter", "batch_size",
        "attacker_params", "random_state", "verbose",
    ]  # fmt: skip

    def __init__(
        self,
        classifier: PyTorchClassifier | None,
        attacker: str = "deepfool",
        eps: float = 8 / 255,
        targeted: bool = False,
        goal: Goal = "leave",
        loss: LossName = "cross_entropy",
        n_fit: int = 200,
        delta: float = 0.2,
        max_iter: int = 10,
        batch_size: int = 64,
        attacker_params: Mapping[str, object] | None = None,
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

    def fit(self, x: FloatImages, y: object | None = None) -> Self:
        """Fit the perturbation.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1].
            y: labels (n,) or one-hot, the target (one for all) if targeted; None takes the clean
                predictions.
        """
        if self.estimator is None:
            raise PriemoError("fit() needs a classifier: load(path, classifier)")
        x = check_images(x)
        rows = np.random.default_rng(self.random_state).permutation(len(x))[: self.n_fit]
        attack = self._build()
        given = self._check_y(y, len(x), self.estimator.nb_classes)
        if given is None:
            with temporary_seed(self.random_state):  # ART's predict() uses the generators too
                given = self.estimator.predict(x, batch_size=self.batch_size).argmax(1)
        goals = self._goal_labels(given)
        one_hot = np.eye(self.estimator.nb_classes, dtype=np.float32)[goals]
        with temporary_seed(self.random_state):
            attack.generate(x[rows], one_hot[rows])
        self.noise = np.clip(attack.noise, -self.eps, self.eps).astype(np.float32)
        rate = attack.targeted_success_rate if self.targeted else attack.fooling_rate
        self.fooling_rate = float(rate)
        return self

    def _build(self) -> UniversalPerturbation | TargetedUniversalPerturbation:
        targeted = self._has_target
        outer_class = TargetedUniversalPerturbation if targeted else UniversalPerturbation
        if self.attacker not in outer_class.attacks_dict:
            raise unknown(f"{outer_class.__name__} attackers", self.attacker,
                          outer_class.attacks_dict)  # fmt: skip
        inner_class = art_attack_class(outer_class.attacks_dict[self.attacker].rsplit(".", 1)[1])
        common = {"batch_size": self.batch_size, "verbose": self.verbose}
        defaults = {
            "eps": float(self.eps), "eps_step": float(self.eps) * RELATIVE_STEP, "max_iter": 10,
            "targeted": targeted, **(DEEPFOOL if self.attacker == "deepfool" else {}), **common,
        }  # fmt: skip
        reserved = {"classifier", "estimator"}
        inner = keyword_arguments(inner_class, self.attacker_params, defaults, reserved)
        return outer_class(
            with_loss(self.estimator, self.loss, clip_input=True),
            attacker=self.attacker,
            attacker_params=inner,
            delta=self.delta,
            max_iter=self.max_iter,
            eps=float(self.eps),
            **({} if targeted else common),
        )

    def _check_params(self) -> None:
        require_eps(self.eps)
        require_bool(self, "targeted")
        require(0 <= self.delta <= 1, "delta", self.delta, "in [0, 1]")
        require(self.goal in get_args(Goal), "goal", self.goal, "'leave' or 'rarest'")
        require_int(self, "n_fit", "max_iter", "batch_size")
        if self.loss not in LOSSES:
            raise unknown("loss functions", str(self.loss), LOSSES)
        require(isinstance(self.attacker, str), "attacker", self.attacker, "a name")
        if self.estimator is not None:
            with refusals(self.attacker):
                self._build()


_TRAITS = Traits("universal", "universal", "one", knob="eps", strengths=EPS_GRID, random=True)

uap = Preset(
    ArtUniversal,
    _TRAITS,
    {"attacker": "deepfool"},
    summary="ART's UniversalPerturbation, DeepFool inside",
    source="Moosavi-Dezfooli et al. 2017, arXiv:1610.08401",
)
uap_pgd = Preset(
    ArtUniversal,
    _TRAITS,
    {"attacker": "pgd"},
    summary="ART's UniversalPerturbation, PGD inside",
    source="Moosavi-Dezfooli et al. 2017, arXiv:1610.08401",
)
uap_fgsm = Preset(
    ArtUniversal,
    _TRAITS,
    {"attacker": "fgsm"},
    summary="ART's UniversalPerturbation, FGSM inside",
    source="Moosavi-Dezfooli et al. 2017, arXiv:1610.08401",
)
uap_targeted = Preset(
    ArtUniversal,
    Traits("universal", "universal", "one", True, "eps", EPS_GRID, random=True),
    {"attacker": "fgsm", "goal": "rarest"},
    summary="ART's TargetedUniversalPerturbation, FGSM inside",
    source="Hirano & Takemoto 2020, arXiv:1911.06502",
)
"""Untargeted, the rarest emotion is the target."""
