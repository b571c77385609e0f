"""Base of attacks that come from other packages: one set of parameters and checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from art.attacks.attack import EvasionAttack
from art.estimators.classification import PyTorchClassifier

from priemo_bench.attacks.base import (
    GradientAttack,
    require_bool,
    require_eps,
    require_int,
    temporary_seed,
)
from priemo_bench.attacks.filters import as_names, check_filters
from priemo_bench.attacks.losses import LOSSES, LossName
from priemo_bench.contracts.image import FloatImages, Labels, check_images
from priemo_bench.registry import unknown

RELATIVE_STEP = 1 / 4
"""Step size of an iterative attack as a share of eps, as in torchattacks (2/255 of 8/255)."""


class AdaptedAttack(GradientAttack):
    """A per-image attack of another package, by its own name and keyword arguments.

    Subclasses set `default_attack`, and implement `_run` and `_check_attack`.

    Args:
        classifier: ART `PyTorchClassifier` with clip values (0, 1).
        attack: name of the class in that package; None is `default_attack`.
        eps: linf bound in (0, 1], passed on where the class has that parameter; so is a step size
            of RELATIVE_STEP times eps (or of its paper), unless given.
        targeted: as in ART, `y` then holds the targets.
        filters: names of defenses, or of sets of them ("set-1"), that the protection is to survive:
            the gradient is that of the mean logits over the image and what each filter makes of it.
        loss: that the gradient is taken of: "cross_entropy", or "margin" of the logits.
        random_state: seed of the global generators during the attack.
        params: further arguments of that class.

    Raises:
        PriemoError: an attack, loss or parameter that does not exist, or eps outside (0, 1].
    """

    attack_params = [
        *EvasionAttack.attack_params,
        "attack", "eps", "targeted", "filters", "loss", "batch_size", "random_state", "params",
    ]  # fmt: skip
    default_attack: ClassVar[str]

    def __init__(
        self,
        classifier: PyTorchClassifier,
        attack: str | None = None,
        eps: float = 8 / 255,
        targeted: bool = False,
        loss: LossName = "cross_entropy",
        batch_size: int = 64,
        random_state: int | None = None,
        filters: Sequence[str] = (),
        **params: object,
    ) -> None:
        super().__init__(estimator=classifier)
        self.attack = attack or self.default_attack
        self.eps = eps
        self._targeted = targeted
        self.loss = loss
        self.batch_size = batch_size
        self.random_state = random_state
        self.filters = as_names(filters)
        self.params = params
        self._check_params()

    def generate(
        self, x: FloatImages, y: object | None = None, mask: FloatImages | None = None
    ) -> FloatImages:
        """Protected images (n, c, h, w), floats in [0, 1]; `x` is not modified.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1].
            y: labels (n,) or one-hot, the targets if targeted; None takes the clean predictions.
            mask: that can be broadcast to `x`; where it is 0, nothing is changed.
        """
        x = check_images(x)
        labels = self._check_y(y, len(x), self.estimator.nb_classes)
        if labels is None and self.filters:
            labels = self.estimator.predict(x, batch_size=self.batch_size).argmax(1)
        with temporary_seed(self.random_state):
            protected = self._run(x.copy(), labels, mask)
        found = check_images(np.clip(protected, 0, 1), f"the result of {self.attack}")
        return found if mask is None else np.where(mask, found, x)

    def _run(self, x: FloatImages, labels: Labels | None, mask: FloatImages | None) -> FloatImages:
        """The attack on a copy of the checked images, which it may modify.

        One that cannot attack within a mask leaves it out: what it changes outside is undone.
        """
        raise NotImplementedError

    def _check_attack(self) -> None:
        """PriemoError unless the package has the attack and it takes the parameters."""
        raise NotImplementedError

    def _check_params(self) -> None:
        require_eps(self.eps)
        require_bool(self, "targeted")
        require_int(self, "batch_size")
        check_filters(self.filters)
        if self.loss not in LOSSES:
            raise unknown("loss functions", str(self.loss), LOSSES)
        with temporary_seed(self.random_state):  # some constructors run the model once
            self._check_attack()
