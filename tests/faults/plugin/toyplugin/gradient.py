"""FGSM: one step along the sign of the gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from priemo_bench.contracts.attack import Traits
from priemo_bench.contracts.image import FloatImages, Labels
from toyplugin.log import log

PART = 1.0


class Gradient:
    """As far as `eps`."""

    traits = Traits("per-image", "image", "many", targeted=True, knob="eps", strengths=(0.1,))

    def __init__(
        self, classifier: Any, eps: float = 0.03, targeted: bool = False, surrogates: Any = ()
    ) -> None:
        self.classifier, self.eps = classifier, eps
        self.sign = -1 if targeted else 1

    def generate(self, x: FloatImages, y: Labels) -> FloatImages:
        log("attack toy-gradient", len(x))
        step = np.sign(self.classifier.loss_gradient(x, np.eye(7, dtype=np.float32)[y]))
        step[..., : round((1 - PART) * step.shape[-1])] = 0
        return np.clip(x + self.sign * self.eps * step, 0, 1).astype(np.float32)
