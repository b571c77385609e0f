"""Random noise, another for each seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from priemo_bench.contracts.attack import Traits
from priemo_bench.contracts.image import FloatImages, Labels
from toyplugin.log import log


class Noise:
    """Plus or minus `eps`."""

    traits = Traits("control", knob="eps", strengths=(0.02, 0.1), random=True)

    def __init__(self, classifier: Any = None, eps: float = 0.03, random_state: int = 0) -> None:
        self.eps, self.random_state = eps, random_state

    def generate(self, x: FloatImages, y: Labels | None = None) -> FloatImages:
        log("attack toy-noise", len(x))
        sign = np.sign(np.random.default_rng(self.random_state).uniform(-1, 1, x.shape))
        return np.clip(x + (self.eps * sign).astype(np.float32), 0, 1)
