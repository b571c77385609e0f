"""A victim that only judges."""

from __future__ import annotations

from torch import Tensor, nn

from toyplugin.logged import Logged

PULL = 0.0


class Judge(Logged):
    """Drawn to the first emotion by PULL."""

    def head(self, f: Tensor) -> Tensor:
        logits = super().head(f)
        logits[:, 0] += PULL
        return logits


def judge() -> nn.Module:
    return Judge("toy-judge", 2)
