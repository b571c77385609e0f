"""ART's per-image attacks, by their own names and keyword arguments."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any, ClassVar

import art.attacks.evasion as evasion
import numpy as np
from art.attacks.attack import EvasionAttack
from art.estimators.classification.classifier import ClassifierMixin
from art.estimators.estimator import BaseEstimator, LossGradientsMixin

from priemo_bench.attack import EPS_GRID, Traits
from priemo_bench.attacks.base import as_labels, require, require_eps, seeded
from priemo_bench.attacks.entry import Entry
from priemo_bench.attacks.losses import LOSSES, Loss, sibling
from priemo_bench.errors import PriemoError
from priemo_bench.images import Floats, check_images
from priemo_bench.registry import unknown

STEP = 1 / 4
"""Step of an iterative attack as a share of eps, as torchattacks has it (2/255 of 8/255)."""


def art_class(name: str) -> type[EvasionAttack]:
    """The class `name` of `art.attacks.evasion`; PriemoError names the nearest for a typo."""
    found = getattr(evasion, name, None)
    if not (isinstance(found, type) and issubclass(found, EvasionAttack)):
        known = [n for n, c in vars(evasion).items() if isinstance(c, type)]
        raise unknown("ART attacks", name, known)
    return found


def accepted(
    make: Any, given: Mapping[str, Any], defaults: Mapping[str, Any], reserved: set[str]
) -> dict[str, Any]:
    """`given` over those `defaults` that `make` has a parameter for.

    Raises:
        PriemoError: for a name in `given` that `make` has not, or that is `reserved`.
    """
    known = set(signature(make).parameters) - reserved
    for name in given:
        if name not in known:
            raise unknown(f"{make.__name__} parameters", name, known)
    return {**{k: v for k, v in defaults.items() if k in known}, **given}


class ArtAttack(EvasionAttack):
    """Any evasion attack of ART that perturbs each image: `ArtAttack(classifier, "DeepFool")`.

    Args:
        classifier: ART `PyTorchClassifier` with clip values (0, 1).
        attack: name of the class in `art.attacks.evasion`.
        eps: largest change of a pixel in (0, 1]; `eps_step` is a quarter of it unless given.
            Both are handed on where the class knows them.
        targeted: as in ART, `y` are then the emotions to be read.
        loss: what the gradient is taken of: "cross_entropy", or "margin" of the logits.
        random_state: seed of ART's draws (it uses the global generators, put back after).
        params: further arguments of that class (`max_iter`, `norm`, `num_random_init` ...).

    Raises:
        PriemoError: for an attack, loss or parameter that does not exist, or eps outside (0, 1].
    """

    attack_params = [  # noqa: RUF012 (ART's own declaration)
        *EvasionAttack.attack_params,
        "attack", "eps", "targeted", "loss", "batch_size", "random_state", "params",
    ]  # fmt: skip
    _estimator_requirements = (BaseEstimator, LossGradientsMixin, ClassifierMixin)
    _reserved: ClassVar[set[str]] = {"self", "classifier", "estimator", "summary_writer"}

    def __init__(
        self,
        classifier: Any,
        attack: str = "ProjectedGradientDescent",
        eps: float = 8 / 255,
        targeted: bool = False,
        loss: Loss = "cross_entropy",
        batch_size: int = 64,
        random_state: int | None = None,
        **params: Any,
    ) -> None:
        super().__init__(estimator=classifier)
        self.attack = attack
        self.eps = eps
        self._targeted = targeted
        self.loss = loss
        self.batch_size = batch_size
        self.random_state = random_state
        self.params = params
        self._check_params()

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> Floats:
        """Protected images, floats in [0, 1]; `x` is not modified.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1]. y: labels (n,) or one-hot, the targets if
                targeted; None takes what the classifier reads.
        """
        x = check_images(x)
        if y is None and self.targeted:
            raise PriemoError("a targeted attack needs the targets as y")
        if y is not None:
            y = np.eye(self.estimator.nb_classes, dtype=np.float32)[
                as_labels(y, len(x), self.estimator.nb_classes)
            ]
        with seeded(self.random_state):
            protected = self._build().generate(x.copy(), y, **kwargs)
        return check_images(np.clip(protected, 0, 1), f"the result of {self.attack}")

    def _build(self) -> EvasionAttack:
        make = art_class(self.attack)
        defaults = {
            "eps": self.eps, "eps_step": self.eps * STEP, "targeted": self.targeted,
            "batch_size": self.batch_size, "verbose": False,
        }  # fmt: skip
        if self.targeted and "targeted" not in signature(make).parameters:
            raise PriemoError(f"{self.attack} of ART cannot be targeted")
        return make(
            sibling(self.estimator, self.loss),
            **accepted(make, self.params, defaults, self._reserved),
        )

    def _check_params(self) -> None:
        require_eps(self.eps)
        require(isinstance(self.targeted, bool), "targeted", self.targeted, "True or False")
        require(self.batch_size >= 1, "batch_size", self.batch_size, "at least 1")
        if self.loss not in LOSSES:
            raise unknown("loss functions", str(self.loss), LOSSES)
        try:
            self._build()
        except PriemoError:
            raise
        except (TypeError, ValueError) as error:
            raise PriemoError(f"{self.attack} of ART refuses its parameters: {error}") from error


_TRAITS = Traits("per-image", "image", "one", targeted=True, knob="eps", strengths=EPS_GRID)

fgsm = Entry(ArtAttack, _TRAITS, {"attack": "FastGradientMethod"})
"""Goodfellow, Shlens & Szegedy 2015, arXiv:1412.6572."""

pgd = Entry(ArtAttack, _TRAITS, {"attack": "ProjectedGradientDescent", "max_iter": 25})
"""Madry et al. 2018, arXiv:1706.06083, without random start."""
