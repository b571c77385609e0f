"""What a victim is: a torch module from the image contract to seven logits, with a card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from priemo_bench import registry
from priemo_bench.contracts.card import Card
from priemo_bench.contracts.image import EMOTIONS, SLACK
from priemo_bench.errors import PriemoError

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier

GREY = (0.299, 0.587, 0.114)
"""Luma weights (ITU-R BT.601) by which victims read RGB as grey."""


class Victim(nn.Module):
    """Base of the zoo: owns resizing, grey conversion and normalisation, all differentiable.

    Subclasses set `size` (side in pixels the network reads), `channels` (1 or 3), `mean` and `std`
    (per channel, on [0, 1]), and implement `embed` and `head`; or override `features`.
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
        """(n, 1 or 3, h, w) in [0, 1] to the network's own input; differentiable."""
        if x.ndim != 4 or x.shape[1] not in (1, 3):
            raise PriemoError(f"x has shape {tuple(x.shape)}; it must be (n, 1 or 3, h, w)")
        if _slightly_outside(x):  # the gradient of clamp would be 0 at black and white pixels
            x = x + (x.clamp(0, 1) - x).detach()
        if self.channels == 1 and x.shape[1] == 3:
            x = (x * self._grey).sum(1, keepdim=True)
        elif self.channels == 3 and x.shape[1] == 1:
            x = x.expand(-1, 3, -1, -1)
        if x.shape[-2:] != (self.size, self.size):
            x = nn.functional.interpolate(
                x, (self.size, self.size), mode="bilinear", antialias=True, align_corners=False
            )
        return ((x - self._mean) / self._std).contiguous(memory_format=torch.channels_last)

    def embed(self, x: Tensor) -> Tensor:
        """Network input to features (n, d), the input of the last linear layer."""
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
    """Several victims as one, for attacks that look into one: the mean of their logits.

    Dong et al. 2018, "Boosting Adversarial Attacks with Momentum", eq. 7, with equal weights.
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


def freeze(victim: nn.Module) -> nn.Module:
    """Evaluation mode, parameter gradients off (a third to half off a step), channels_last."""
    victim.eval().requires_grad_(False)
    return victim.to(memory_format=torch.channels_last)


def as_art(victim: nn.Module, channels: int = 3, size: int = 112) -> PyTorchClassifier:
    """The victim as an ART classifier for images of (channels, size, size), clip values 0 to 1.

    Grey images stay grey: the victim repeats or converts channels inside the graph.
    """
    from art.estimators.classification import PyTorchClassifier

    freeze(victim)
    device = next((str(p.device) for p in victim.parameters()), "cpu")
    return PyTorchClassifier(
        model=victim,
        loss=nn.CrossEntropyLoss(),
        input_shape=(channels, size, size),
        nb_classes=len(EMOTIONS),
        clip_values=(0.0, 1.0),
        device_type="gpu" if device.startswith("cuda") else "cpu",
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
