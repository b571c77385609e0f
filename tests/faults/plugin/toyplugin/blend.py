"""A transform with a knob: each face goes part of the way to its mirror image."""

from __future__ import annotations

from typing import Any

from priemo_bench.contracts.attack import Traits
from priemo_bench.contracts.image import FloatImages, Labels
from toyplugin.log import log


class Blend:
    """By `part`, from 0 to 1."""

    traits = Traits("transform", knob="part", strengths=(0.1, 0.3, 0.6))

    def __init__(self, classifier: Any = None, part: float = 0.3) -> None:
        self.part = part

    def generate(self, x: FloatImages, y: Labels | None = None) -> FloatImages:
        log("attack toy-blend", len(x))
        return (1 - self.part) * x + self.part * x[..., ::-1]
