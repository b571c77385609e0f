"""What a victim is: a torch module from images to seven logits, with a card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

from priemo_bench import registry
from priemo_bench.contracts.card import Card
from priemo_bench.contracts.image import EMOTIONS, SLACK
from priemo_bench.contracts.predict import device_of
from priemo_bench.errors import PriemoError

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier

GREY = (0.299, 0.587, 0.114)
"""Luma weights (ITU-R BT.601) by which victims convert RGB to grey."""

Module = TypeVar("Module", bound=nn.Module)


class Victim(nn.Module):
    """Base class of victims: resizing, grey conversion and normalisation, all differentiable.

    Subclasses implement `embed` and `head`; or override `features`.

    Args:
        size: side of the network's input, in pixels; 0 for one that takes images as they are.
        channels: of the network's input, 1 or 3; 0 for both.
        mean, std: per channel, of pixels in [0, 1], by which the input is normalised.

    Example:
        >>> class Linear(Victim):
        ...     def __init__(self):
        ...         super().__init__(size=8, channels=1, mean=(0.5,), std=(0.25,))
        ...         self.last = nn.Linear(64, 7)
        ...     def embed(self, x):
        ...         return x.flatten(1)
        ...     def head(self, f):
        ...         return self.last(f)
        >>> victim = Linear()
        >>> victim(torch.rand(2, 3, 48, 48)).shape
        torch.Size([2, 7])
        >>> victim.features(torch.rand(2, 1, 100, 100)).shape
        torch.Size([2, 64])
    """

    card: Card
    _mean: Tensor
    _std: Tensor
    _grey: Tensor

    def __init__(
        self, size: int, channels: int, mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        super().__init__()
        self.size = size
        self.channels = channels
        self.register_buffer("_mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("_grey", torch.tensor(GREY).view(1, 3, 1, 1), persistent=False)

    def prepare(self, x: Tensor) -> Tensor:
        """Images (n, 1 or 3, h, w) in [0, 1] to the network's own input; differentiable.

        Raises:
            PriemoError: wrong rank or channels, NaN, or values outside [0, 1].
        """
        if x.ndim != 4 or x.shape[1] not in (1, 3):
            raise PriemoError(f"x has shape {tuple(x.shape)}; it must be (n, 1 or 3, h, w)")
        if _slightly_outside(x):  # the gradient of clamp would be 0 at black and white pixels
            x = x + (x.clamp(0, 1) - x).detach()
        if self.channels == 1 and x.shape[1] == 3:
            x = (x * self._grey).sum(1, keepdim=True)
        elif self.channels == 3 and x.shape[1] == 1:
            x = x.expand(-1, 3, -1, -1)
        if self.size and x.shape[-2:] != (self.size, self.size):
            x = nn.functional.interpolate(
                x, (self.size, self.size), mode="bilinear", antialias=True, align_corners=False
            )
        return ((x - self._mean) / self._std).contiguous(memory_format=torch.channels_last)

    def embed(self, x: Tensor) -> Tensor:
        """Network input to features (n, d), which are the input of the last linear layer."""
        raise NotImplementedError

    def head(self, f: Tensor) -> Tensor:
        """Features (n, d) to logits (n, 7) in the order of EMOTIONS."""
        raise NotImplementedError

    def features(self, x: Tensor) -> Tensor:
        """Images (n, 1 or 3, h, w) in [0, 1] to features (n, d)."""
        return self.embed(self.prepare(x))

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, 1 or 3, h, w) in [0, 1] to logits (n, 7) in the order of EMOTIONS."""
        return self.head(self.features(x))


class Ensemble(nn.Module):
    """Several victims as one classifier, the mean of their logits.

    Dong et al. 2018, "Boosting Adversarial Attacks with Momentum", eq. 7, with equal weights: for
    attacks that take one surrogate.
    """

    def __init__(self, victims: Sequence[nn.Module]) -> None:
        super().__init__()
        self.victims = nn.ModuleList(victims)

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, 1 or 3, h, w) in [0, 1] to logits (n, 7) in the order of EMOTIONS."""
        return torch.stack([victim(x) for victim in self.victims]).mean(0)


def _slightly_outside(x: Tensor) -> bool:
    """True when `x` leaves [0, 1] by rounding only; PriemoError when by more, or NaN."""
    low, high = x.detach().aminmax()
    if not (low >= -SLACK and high <= 1 + SLACK):
        raise PriemoError(f"x has values from {low:g} to {high:g}; images must be in [0, 1]")
    return bool(low < 0 or high > 1)


def freeze(net: Module) -> Module:
    """`net` itself, in evaluation mode, without parameter gradients, in channels_last format.

    Without parameter gradients an attack step takes a third to a half less time.
    """
    net.eval().requires_grad_(False)
    return net.to(memory_format=torch.channels_last)


def as_art(victim: nn.Module, channels: int = 3, size: int = 112) -> PyTorchClassifier:
    """The victim, frozen, as an ART classifier with clip values 0 and 1.

    Grey images stay grey: the victim repeats or converts channels inside the graph.

    Args:
        victim: images (n, channels, size, size) in [0, 1] to logits (n, 7).
        channels, size: of the images that are attacked, not of the network's input.

    Example:
        >>> from priemo_bench.testing import ToyVictim, toy_faces
        >>> x, y = toy_faces(4, channels=1, size=32)
        >>> classifier = as_art(ToyVictim(), channels=1, size=32)
        >>> classifier.predict(x).argmax(1).tolist() == y.tolist()
        True
    """
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(
        model=freeze(victim),
        loss=nn.CrossEntropyLoss(),
        input_shape=(channels, size, size),
        nb_classes=len(EMOTIONS),
        clip_values=(0.0, 1.0),
        device_type="gpu" if device_of(victim).type == "cuda" else "cpu",
    )


def load_victim(name: str) -> nn.Module:
    """A victim, frozen in evaluation mode: images (n, 1 or 3, h, w) in [0, 1] to logits (n, 7).

    Args:
        name: of an entry point, or a TOML file that describes weights of your own.

    Raises:
        PriemoError: no such name or file, or weights that are missing or not the pinned ones.

    Example:
        >>> import torch
        >>> from priemo_bench import load_victim
        >>> load_victim("resnet")(torch.zeros(2, 1, 48, 48)).shape
        torch.Size([2, 7])
    """
    victim: nn.Module = registry.get("victims", name)()
    return victim
