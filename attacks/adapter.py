"""What attacks taken from other packages share: one set of parameters, checks and `generate`."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from art.attacks.attack import EvasionAttack

from priemo_bench.attacks.base import AimedAttack, require_eps, require_truth, require_whole, seeded
from priemo_bench.attacks.losses import LOSSES, Loss
from priemo_bench.contracts.image import FloatImages, Labels, check_images
from priemo_bench.registry import unknown

STEP = 1 / 4
"""Step of an iterative attack as a share of eps, as torchattacks has it (2/255 of 8/255)."""


class AdaptedAttack(AimedAttack):
    """A per-image attack of another package, by its own name and further keyword arguments.

    Subclasses set `default`, and implement `_run` and `_check_attack`.

    Args:
        classifier: ART `PyTorchClassifier` with clip values (0, 1).
        attack: name of the class in that package; None is `default`.
        eps: largest change of a pixel in (0, 1], handed on where the class knows it; so is a step
            of a quarter of it (or what its paper has), unless given.
        targeted: as in ART, `y` are then the emotions to be read.
        loss: what the gradient is taken of: "cross_entropy", or "margin" of the logits.
        random_state: seed of that package's draws (it uses the global generators, put back after).
        params: further arguments of that class.

    Raises:
        PriemoError: for an attack, loss or parameter that does not exist, or eps outside (0, 1].
    """

    attack_params = [
        *EvasionAttack.attack_params,
        "attack", "eps", "targeted", "loss", "batch_size", "random_state", "params",
    ]  # fmt: skip
    default: ClassVar[str]

    def __init__(
        self,
        classifier: Any,
        attack: str | None = None,
        eps: float = 8 / 255,
        targeted: bool = False,
        loss: Loss = "cross_entropy",
        batch_size: int = 64,
        random_state: int | None = None,
        **params: Any,
    ) -> None:
        super().__init__(estimator=classifier)
        self.attack = attack or self.default
        self.eps = eps
        self._targeted = targeted
        self.loss = loss
        self.batch_size = batch_size
        self.random_state = random_state
        self.params = params
        self._check_params()

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> FloatImages:
        """Protected images, floats in [0, 1]; `x` is not modified.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1]. y: labels (n,) or one-hot, the targets if
                targeted; None takes what the classifier reads.
        """
        x = check_images(x)
        labels = self._given(y, len(x), self.estimator.nb_classes)
        with seeded(self.random_state):
            protected = self._run(x.copy(), labels)
        return check_images(np.clip(protected, 0, 1), f"the result of {self.attack}")

    def _run(self, x: FloatImages, labels: Labels | None) -> FloatImages:
        """The attack on checked images, a copy that may be written to."""
        raise NotImplementedError

    def _check_attack(self) -> None:
        """PriemoError unless the package has the attack and takes the parameters."""
        raise NotImplementedError

    def _check_params(self) -> None:
        require_eps(self.eps)
        require_truth(self, "targeted")
        require_whole(self, "batch_size")
        if self.loss not in LOSSES:
            raise unknown("loss functions", str(self.loss), LOSSES)
        with seeded(self.random_state):  # some constructors read a first image
            self._check_attack()
