"""What a defense is: a victim's own preprocessing of a published image.

A defense maps published images, uint8 (n, 1 or 3, h, w), to the victim's input: floats in [0, 1] of
the same shape, deterministic, each image independently of the others. It is found by an entry
point of group `priemo_bench.defenses`.

Beyond that it may offer, each found by its name:

    smooth(x)       a differentiable stand-in of itself (`HasStandIn`)
    seed, draw(k)   it is random, with a draw for each image that its seed decides (`HasDraws`)
    summary, family, strength, source     what tables and `priemo-bench list defenses` say of it
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from priemo_bench.contracts.image import ByteImages, FloatImages

if TYPE_CHECKING:
    import torch


class Defense(Protocol):
    """What an entry point of group `priemo_bench.defenses` points at."""

    def __call__(self, x: ByteImages, /) -> FloatImages:
        """(n, 1 or 3, h, w) uint8 to float32 in [0, 1] of the same shape; `x` is not modified."""
        ...


@runtime_checkable
class HasStandIn(Protocol):
    """A defense that gradient attacks can look through.

    They take the defense's own value forward and the stand-in's slope backward (BPDA: Athalye,
    Carlini & Wagner 2018, arXiv:1802.00420); without a stand-in, that of the identity.
    """

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 1 or 3, h, w) floats in [0, 1] to the same, differentiable, on any device."""
        ...


@runtime_checkable
class HasDraws(Protocol):
    """A random defense: its draw for an image follows from its seed and the image's bytes."""

    seed: int

    def draw(self, k: int) -> Self:
        """The same defense with seed `k`."""
        ...


def described(defense: object) -> tuple[str, str]:
    """What a defense (or any other plug-in) does, and its source, each in one line.

    Its `summary` and `source`; without them the first line of its docstring, or its name, and the
    module that it is from.
    """
    is_own = inspect.isroutine(defense) or isinstance(defense, type)
    thing: Any = defense if is_own else type(defense)
    words = inspect.getdoc(thing) or thing.__name__
    first = words.partition("\n")[0]
    summary = getattr(defense, "summary", None) or first
    source = getattr(defense, "source", None) or thing.__module__
    return str(summary), str(source)
