"""Noise that takes a steady while of one core for each image: for timing and for kills."""

from __future__ import annotations

import time

import numpy as np

from priemo_bench.contracts.image import FloatImages, Labels
from toyplugin.noise import Noise


class Busy(Noise):
    """`ms` of processor time an image."""

    def __init__(
        self, classifier: object = None, eps: float = 0.03, random_state: int = 0, ms: float = 1.0
    ) -> None:
        super().__init__(classifier, eps, random_state)
        self.ms = ms

    def generate(self, x: FloatImages, y: Labels | None = None) -> FloatImages:
        end = time.process_time() + self.ms * len(x) / 1000
        while time.process_time() < end:
            np.sqrt(np.arange(1000.0)).sum()
        return super().generate(x, y)
