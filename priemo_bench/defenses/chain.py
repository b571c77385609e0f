"""Whole chains: what a photo meets on its way through a site or an app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from priemo_bench.contracts.image import ByteImages, FloatImages, check_bytes, publish, to_float
from priemo_bench.defenses.compression import Jpeg, WebP
from priemo_bench.defenses.described import Described
from priemo_bench.defenses.resizing import (
    Scale,
    check_method,
    resized,
    softly_resized,
)
from priemo_bench.errors import require

if TYPE_CHECKING:
    import torch

Part = Jpeg | WebP | Scale


@dataclass(frozen=True)
class Chain(Described):
    """Parts one after the other, an 8-bit picture between them, then back to the former size.

    Attributes:
        parts: at least one.
        back: how it is resized in the end, where a part has changed its size.
    """

    source = "its parts, as sites and apps use them; Pillow"
    kind = "chain"

    parts: tuple[Part, ...]
    back: str = "lanczos"

    def __post_init__(self) -> None:
        require(len(self.parts) > 0, "parts", self.parts, "at least one")
        check_method("back", self.back)

    @property
    def summary(self) -> str:
        """Those of its parts."""
        words = ", ".join(part.summary for part in self.parts)
        resizes = any(isinstance(part, Scale) for part in self.parts)
        return f"{words}, back ({self.back})" if resizes else words

    def __call__(self, x: ByteImages, /) -> FloatImages:
        x = check_bytes(x)
        now = x
        for part in self.parts:
            now = publish(part(now))
        same = now.shape == x.shape
        return to_float(now if same else resized(now, (x.shape[2], x.shape[3]), self.back))

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """Its stand-in: those of its parts."""
        now = x
        for part in self.parts:
            now = part.smooth(now)
        if now.shape == x.shape:
            return now
        return softly_resized(now, (x.shape[2], x.shape[3]), self.back).clamp(0, 1)


jpeg90_75 = Chain((Jpeg(90), Jpeg(75)))
upload = Chain((Scale(0.75, "lanczos"), Jpeg(75)), "lanczos")
screenshot = Chain((Scale(1.25, "lanczos"), WebP(90)), "lanczos")
