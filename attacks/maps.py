"""Feature maps of surrogates, for a network that reads them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from priemo_bench.attacks.surrogate import Surrogate
from priemo_bench.errors import PriemoError

ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Tanh,
)  # fmt: skip
MapShape = tuple[int, int, int]
"""Channels, height and width."""


class FeatureMaps:
    """What surrogates see in images: their feature maps, and what they predict.

    The maps are those that activations take, or where these have more sizes (activations need not
    be modules), those that convolutions give, of one surrogate after the other. Before an
    activation a map also says how far each unit is from switching, and with it what the gradient
    will be.

    Args:
        surrogates: to read. channels, size: of the images.

    Attributes:
        shapes: of the maps.
        scores: numbers that tell what is predicted, see `scores_of`.

    Raises:
        PriemoError: a surrogate without maps, such as a transformer.
    """

    def __init__(
        self, surrogates: Sequence[Surrogate], channels: int, size: tuple[int, int]
    ) -> None:
        self.surrogates = list(surrogates)
        blank = torch.full((1, channels, *size), 0.5, device=self.surrogates[0].device)
        maps, scores = self(blank)
        self.shapes: list[MapShape] = [(m.shape[1], m.shape[2], m.shape[3]) for m in maps]
        self.scores = scores.shape[1]

    @torch.no_grad()
    def __call__(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Images (n, c, h, w) in [0, 1] to maps (n, k, i, j), each of rms 1, and (n, scores)."""
        maps, scores = [], []
        for surrogate in self.surrogates:
            found, logits = _read(surrogate, x.to(surrogate.device))
            maps += [_normalised(part.to(x.device)) for part in found]
            scores.append(scores_of(logits).to(x.device))
        return maps, torch.cat(scores, 1)


def scores_of(logits: Tensor) -> Tensor:
    """Logits (n, k) standardised, and the first and the second class as one-hot, (n, 3k)."""
    standardised = _normalised(logits - logits.mean(1, keepdim=True))
    best = logits.topk(2, dim=1).indices
    return torch.cat([standardised, one_hot(best, logits.shape[1]).flatten(1)], 1)


def _normalised(x: Tensor) -> Tensor:
    """`x` (n, ...) divided by the root mean square of each row."""
    rows = x.flatten(1)
    scale = rows.square().mean(1).sqrt().clamp_min(1e-6)
    return (rows / scale[:, None]).view_as(x)


def _read(surrogate: Surrogate, x: Tensor) -> tuple[list[Tensor], Tensor]:
    """Maps and logits."""
    taken: list[Tensor] = []
    given: list[Tensor] = []

    def before(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        taken.append(args[0].clone())  # the activation may be in place

    def after(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        given.append(output)

    modules = list(surrogate.model.modules())
    handles = [m.register_forward_pre_hook(before) for m in modules if isinstance(m, ACTIVATIONS)]
    handles += [m.register_forward_hook(after) for m in modules if isinstance(m, nn.Conv2d)]
    try:
        _, logits = surrogate(x)
    finally:
        for handle in handles:
            handle.remove()
    kinds = [[found for found in kind if _is_map(found)] for kind in (taken, given)]
    if any(kinds):
        return max(kinds, key=lambda maps: len({found.shape[2:] for found in maps})), logits
    raise PriemoError(
        f"{type(surrogate.model).__name__} has no feature maps to read; leave feature_maps off"
    )


def _is_map(x: Tensor) -> bool:
    """Of (n, k, i, j); that are (n, i, j, k) are told by their sides."""
    return x.ndim == 4 and min(x.shape[2:]) > 1 and max(x.shape[2:]) <= 4 * min(x.shape[2:])
