"""Filters of a victim within an attack, so that its perturbations survive them.

The expectation over transformations of Athalye et al. 2018, "Synthesizing Robust Adversarial
Examples", over a named set of filters instead of random ones. A filter has no gradient of its own
(it reads and writes 8 bits): its value is the defense's, its gradient that of a stand-in (backward
pass differentiable approximation, Athalye, Carlini & Wagner 2018, section 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from priemo_bench import registry
from priemo_bench.contracts.defense import Defense
from priemo_bench.contracts.filter_sets import expanded
from priemo_bench.errors import require


class Filter:
    """A defense as a map of tensors.

    Args:
        defense: where it has a method `smooth`, of tensors (n, c, h, w) in [0, 1], the gradient is
            that of `smooth`; otherwise it is passed straight through.
    """

    def __init__(self, defense: Defense) -> None:
        self.defense = defense

    def __call__(self, x: Tensor) -> Tensor:
        """Images (n, c, h, w) in [0, 1], published, as the victim sees them behind the defense."""
        with torch.no_grad():
            published = (x.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
            exact = torch.from_numpy(self.defense(published)).to(x)
        if not x.requires_grad:
            return exact
        smooth = getattr(self.defense, "smooth", None)
        stand_in = x if smooth is None else smooth(x)
        return stand_in + (exact - stand_in).detach()


def as_names(filters: Sequence[str]) -> Sequence[str]:
    """A list, as specs and saved files have it, as a tuple; anything else for `check_filters`."""
    return tuple(filters) if isinstance(filters, list) else filters


def check_filters(names: Sequence[str]) -> None:
    """PriemoError unless each of `names` is a defense's, or a set's."""
    listed = isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)
    require(listed, "filters", names, "a list of names of defenses, or of sets of them")
    for name in expanded(names):
        registry.check("defenses", name)


def open_filters(names: Sequence[str]) -> list[Filter]:
    """The filters of a list of names of defenses, or of sets of them (`set-1`)."""
    return [Filter(registry.get("defenses", name)) for name in expanded(names)]


def all_views(x: Tensor, filters: Sequence[Filter]) -> Tensor:
    """`x` (n, c, h, w), then as each filter shows it: ((1 + len(filters)) n, c, h, w)."""
    return torch.cat([x, *(shown(x) for shown in filters)]) if filters else x


def mean_view(outputs: Tensor, n: int) -> Tensor:
    """(views n, k) outputs for `all_views` of n images to (n, k) means over their views."""
    return outputs.reshape(-1, n, outputs.shape[1]).mean(0)


class Filtered(nn.Module):
    """A model's mean logits over an image and what filters make of it, as one classifier.

    For attacks that take one classifier and its gradient: they minimise the loss of the mean
    logits, as for several models (Dong et al. 2018, "Boosting Adversarial Attacks with Momentum",
    eq. 7).

    Args:
        model: images (n, c, h, w) in [0, 1] to logits (n, k).
        filters: names, as for `open_filters`.
    """

    def __init__(self, model: nn.Module, filters: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.filters = open_filters(filters)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) in [0, 1] to mean logits (n, k)."""
        return mean_view(self.model(all_views(x, self.filters)), len(x))
