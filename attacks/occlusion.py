"""Bars over eyes and mouth."""

from __future__ import annotations

from typing import ClassVar

from art.estimators.classification import PyTorchClassifier

from priemo_bench.attacks.base import ModelFreeAttack
from priemo_bench.contracts.attack import Traits
from priemo_bench.contracts.image import FloatImages
from priemo_bench.errors import require

RelativeBox = tuple[float, float, float, float]
"""Top, left, bottom, right, as shares of the image's height (top, bottom) and width."""

EYES_AND_MOUTH: tuple[RelativeBox, ...] = ((0.25, 0.12, 0.47, 0.88), (0.64, 0.25, 0.90, 0.75))
"""Both eyes with their brows, and the mouth, in face crops like those of the data sets: upright,
from hairline to chin, eyes at about 0.37 of the height, mouth at 0.70 to 0.80."""


class Occlusion(ModelFreeAttack):
    """Fixed bars over eyes and mouth of an aligned face crop, without a face detector.

    Args:
        size: factor, above 0, that scales each box about its centre; clipped at the image border.
        boxes: shares (top, left, bottom, right) of height and width.
        value: grey level of the bars in [0, 1].

    Example:
        >>> from priemo_bench.attacks.occlusion import Occlusion
        >>> from priemo_bench.testing import toy_faces
        >>> x, y = toy_faces(size=32)
        >>> round(float((Occlusion(size=0.5).generate(x) == 0).mean()), 2)
        0.07
    """

    traits: ClassVar[Traits] = Traits(
        "transform", knob="size", strengths=(0.05, 0.1, 0.2, 0.3, 0.4, 0.55, 0.7, 0.85, 1, 1.25)
    )
    attack_params = [*ModelFreeAttack.attack_params, "size", "boxes", "value"]

    def __init__(
        self,
        classifier: PyTorchClassifier | None = None,
        size: float = 1.0,
        boxes: tuple[RelativeBox, ...] = EYES_AND_MOUTH,
        value: float = 0.0,
    ) -> None:
        super().__init__(classifier)
        self.size = size
        self.boxes = boxes
        self.value = value
        self._check_params()

    def _run(self, x: FloatImages) -> FloatImages:
        x = x.copy()
        height, width = x.shape[2:]
        for top, left, bottom, right in self.boxes:
            rows, columns = self._span(top, bottom, height), self._span(left, right, width)
            x[:, :, rows, columns] = self.value
        return x

    def _span(self, low: float, high: float, side: int) -> slice:
        centre, half = (low + high) / 2, self.size * (high - low) / 2
        return slice(max(0, round((centre - half) * side)), max(0, round((centre + half) * side)))

    def _check_params(self) -> None:
        require(self.size > 0, "size", self.size, "above 0")
        require(0 <= self.value <= 1, "value", self.value, "in [0, 1]")
        for box in self.boxes:
            inside = len(box) == 4 and 0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1
            require(inside, "a box", box, "(top, left, bottom, right) within 0..1")
