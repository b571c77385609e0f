"""A stranger's network or function as a victim.

as_victim(net, name="mine")                      a torch module: victim and surrogate
as_victim(predict, name="api", labels=[...])     a function: a black box, evaluation only
"""

from __future__ import annotations

import inspect
import io
import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from torch import nn

from priemo_bench.contracts.black_box import BlackBox
from priemo_bench.contracts.card import Card
from priemo_bench.contracts.emotions import outputs_of_emotions
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.network_victim import Contiguous, GivenVictim, Layout
from priemo_bench.contracts.probe import probe
from priemo_bench.contracts.sources import source_text
from priemo_bench.contracts.victim import Module, Victim, freeze
from priemo_bench.errors import PriemoError

LINEAR, LOGITS = "input of the last linear layer", "the logits (no last linear layer was found)"
"""What the features are, as a card says it."""


def as_victim(
    thing: nn.Module | Callable[..., Any],
    *,
    name: str,
    labels: Sequence[str] | None = None,
    size: int | None = None,
    channels: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    layout: Layout = "nchw",
    evaluation_only: bool = False,
) -> nn.Module:
    """A torch module or a function as a victim, tried on a few images.

    A module is copied, frozen, and may be a surrogate; one that takes (n, 1 or 3, h, w) in [0, 1]
    and gives seven logits or probabilities in the order of EMOTIONS needs no argument. A function
    is a black box for evaluation only (`BlackBox`): it gets uint8 (n, c, h, w), and answers with
    labels or scores.

    Args:
        name: what to call it, in tables and sentences.
        labels: of its outputs in their order, "other" for what is no emotion; EMOTIONS when None.
        size, channels: of its input; None is found out: a module that takes any is given images as
            they are, others the first of SIZES that they take.
        mean, std: per channel, of pixels in [0, 1]; a function that has them gets float32.
        layout: of its input, "nchw" or "nhwc".
        evaluation_only: whether a module is to be judged only, as one that rounds its input.

    Returns:
        Images (n, 1 or 3, h, w) in [0, 1] to logits (n, 7) in the order of EMOTIONS, with a `card`.

    Raises:
        PriemoError: an argument is wrong, or what is wrong with its answers.

    Example:
        >>> net = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 7))
        >>> as_victim(net, name="mine")(torch.rand(2, 1, 48, 48)).shape
        torch.Size([2, 7])
        >>> as_victim(lambda images: ["happy"] * len(images), name="api")(
        ...     torch.rand(2, 3, 48, 48)
        ... ).argmax(1).tolist()
        [3, 3]
    """
    short = match[1] if (match := re.fullmatch(r"victim '(.+)'", name)) else name
    what = f"victim {short!r}"
    labels = EMOTIONS if labels is None else labels
    sides = _sides(what, size, channels, mean, std)
    if layout not in ("nchw", "nhwc"):
        raise PriemoError(f"{what}: layout is {layout!r}; it must be nchw or nhwc")
    if not isinstance(thing, nn.Module):
        if not callable(thing):
            raise PriemoError(
                f"{what} is a {type(thing).__name__}; it must be a module or function"
            )
        box = BlackBox(thing, labels, what, size=size or 0, channels=channels or 0, **sides,
                       layout=layout, identity=_source(thing))  # fmt: skip
        box.probe()
        box.card = card_of(box, short, "a function")
        return freeze(box)
    if isinstance(thing, Victim):
        own = freeze(_copy(thing))
        probe(own, what)
        if not hasattr(own, "card"):
            own.card = Card(
                name=short, architecture=type(own).__qualname__, input=f"{own.size}x{own.size}",
                parameters=sum(p.numel() for p in own.parameters()), sha256=_weights(own),
                training_data="not stated", licence="not stated",
            )  # fmt: skip
        return own
    net = Contiguous(_copy(thing).float())
    victim = GivenVictim(
        freeze(net),
        labels,
        **sides,
        layout=layout,
        differentiable=not evaluation_only,
        identity=_source(thing),
    )
    freeze(victim)
    victim.find_input(what, size or 0, channels or 0)
    victim.probe(what)
    victim.card = card_of(victim, short, type(thing).__qualname__, sha256=_weights(net))
    return victim


def _sides(
    what: str, size: int | None, channels: int | None, mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> dict[str, Any]:  # fmt: skip
    """Checked mean and std, where given."""
    if channels not in (None, 1, 3):
        raise PriemoError(f"{what}: channels is {channels!r}; it must be 1 or 3")
    if size is not None and not (isinstance(size, int) and 0 < size <= 4096):
        raise PriemoError(f"{what}: size is {size!r}; it must be 1 to 4096")
    given: dict[str, Any] = {}
    for key, values in (("mean", mean), ("std", std)):
        if values is not None:
            given[key] = tuple(float(value) for value in np.atleast_1d(values))
            if len(given[key]) not in (1, channels or 3) or not np.isfinite(given[key]).all():
                raise PriemoError(f"{what}: {key} is {values!r}; it must have a value per channel")
    if min(given.get("std", (1.0,))) <= 0:
        raise PriemoError(f"{what}: std is {std!r}; it must be positive")
    return given


def _copy(module: Module) -> Module:
    """A copy, so that the caller's module stays trainable; itself where it cannot be copied."""
    try:
        if isinstance(module, torch.jit.ScriptModule):  # a deep copy of which is no leaf
            written = io.BytesIO()
            torch.jit.save(module, written)  # type: ignore[no-untyped-call]
            written.seek(0)
            copied: Module = torch.jit.load(written)  # type: ignore[no-untyped-call]
            return copied
        return deepcopy(module)
    except Exception:  # any that a stranger's module may raise
        return module


def _weights(module: nn.Module) -> str:
    """SHA-256 of the parameters and buffers of a module."""
    digest = sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _source(thing: Any) -> str:
    """Digest of the source of a function, or of the classes that a module is made of.

    Classes of torch count by name: their version counts for every victim.
    """
    things = {type(m) for m in thing.modules()} if isinstance(thing, nn.Module) else {thing}
    if not isinstance(thing, nn.Module) and not inspect.isroutine(thing):
        things = {type(thing)}
    digest = sha256()
    for text in sorted(map(_text, things)):
        digest.update(text.encode(errors="replace"))
    return digest.hexdigest()


def _text(thing: Any) -> str:
    name = f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}"
    if name.startswith("torch."):
        return name
    return name + source_text(thing)


def card_of(victim: GivenVictim | BlackBox, name: str, architecture: str, **facts: Any) -> Card:
    """The card of a stranger's victim: what is known of it, and `facts` from its description."""
    kept = outputs_of_emotions(victim.labels)
    features = LINEAR if getattr(victim, "last", "") else LOGITS
    if isinstance(victim, BlackBox):
        features = "none (evaluation only)"
    pixels = f"{victim.size}x{victim.size}" if victim.size else "any size"
    known: dict[str, Any] = {
        "architecture": architecture,
        "parameters": sum(p.numel() for p in victim.parameters()),
        "input": f"{pixels} {({1: 'grey', 3: victim.order.upper()}).get(victim.channels, 'any')}",
        "training_data": "not stated",
        "licence": "not stated",
        "sha256": victim.identity,
        "features": features,
        "labels": list(victim.labels),
        "dropped": [label for i, label in enumerate(victim.labels) if i not in kept],
    }
    return Card(name=name, **{**known, **facts})
