"""One perturbation for all faces: the sign of the mean gradient over the fit faces."""

from __future__ import annotations

from typing import Any

import numpy as np

from priemo_bench.contracts.attack import Traits
from priemo_bench.contracts.image import FloatImages, Labels
from toyplugin.log import log


class Shared:
    """Fitted once, then added."""

    traits = Traits("universal", "universal", "one", knob="eps", strengths=(0.1,))

    def __init__(self, classifier: Any, eps: float = 0.03) -> None:
        self.classifier, self.eps = classifier, eps

    def fit(self, x: FloatImages, y: Labels) -> Shared:
        log("fit toy-shared", len(x))
        gradient = self.classifier.loss_gradient(x, np.eye(7, dtype=np.float32)[y])
        self.noise = self.eps * np.sign(gradient.mean(0)).astype(np.float32)
        return self

    def apply(self, x: FloatImages, y: Labels | None = None) -> FloatImages:
        log("attack toy-shared", len(x))
        return np.clip(x + self.noise, 0, 1)

    def generate(self, x: FloatImages, y: Labels) -> FloatImages:
        return self.fit(x, y).apply(x)
