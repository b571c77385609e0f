"""What `fit`, `apply`, `generate` and `set_params` of every attack take and refuse.

Images and labels may be arrays, lists or tensors, also ones that require a gradient, and callers
may be within `torch.no_grad()`. `generate` takes ART's `mask`, and no other keyword.
"""

from __future__ import annotations

import inspect
from abc import ABCMeta
from collections.abc import Callable
from functools import wraps
from numbers import Integral
from types import MethodType
from typing import Any

import numpy as np
import torch

from priemo_bench.contracts.image import FloatImages, check_images
from priemo_bench.errors import PriemoError, require
from priemo_bench.registry import unknown


class Doors(ABCMeta):
    """The metaclass of ART's attacks, with doors around what a subclass defines."""

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        for method in ("fit", "apply"):
            if method in namespace:
                setattr(cls, method, _opened(namespace[method], method == "fit"))
        if "generate" in namespace:
            masks = "mask" in inspect.signature(namespace["generate"]).parameters
            setattr(cls, "generate", _opened_generate(namespace["generate"], masks))  # noqa: B010
        made = MethodType(cls.__init__, cls)  # type: ignore[misc]
        cls.__signature__ = inspect.signature(made)  # else that of `__call__`

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__call__(*args, **kwargs)
        check_seed(getattr(made, "random_state", None))
        return made


def check_seed(seed: object) -> None:
    """PriemoError unless `seed` is one of numpy's and torch's generators, or None."""
    whole = isinstance(seed, Integral) and not isinstance(seed, bool | np.bool_)
    holds = seed is None or (whole and 0 <= int(seed) < 2**32)  # type: ignore[call-overload]
    require(holds, "random_state", seed, "a whole number from 0 to 2**32 - 1, or None")


def _opened(method: Callable[..., Any], fits: bool) -> Callable[..., Any]:
    @wraps(method)
    def outer(self: Any, x: Any, y: Any = None, **kwargs: Any) -> Any:
        with torch.enable_grad():
            found = method(self, as_array(x), as_array(y), **kwargs)
        if fits:
            self._fitted_on_purpose = True
        return found

    return outer


def _opened_generate(generate: Callable[..., Any], masks: bool) -> Callable[..., Any]:
    """`generate` with a mask: its own, or else what it changes outside is undone."""

    @wraps(generate)
    def outer(self: Any, x: Any, y: Any = None, **kwargs: Any) -> Any:
        x, y = as_array(x), as_array(y)
        mask = kwargs.pop("mask", None)
        for name in kwargs:
            raise unknown(f"argument of {type(self).__name__}.generate()", name, ("x", "y", "mask"))
        with torch.enable_grad():
            if mask is None:
                return generate(self, x, y)
            mask = check_mask(as_array(mask), check_images(x))
            if masks:
                return generate(self, x, y, mask=mask)
            return np.where(mask, generate(self, x, y), check_images(x))

    return outer


def as_array(value: Any) -> Any:
    """A tensor as an array, without its gradient; anything else as it is."""
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value


def check_mask(mask: object, x: object) -> FloatImages:
    """A mask as zeros and ones of the shape of `x`.

    Args:
        mask: any that can be broadcast to `x` (n, c, h, w); where it is 0, nothing is changed.

    Raises:
        PriemoError: it cannot be broadcast, or is not numbers.
    """
    shape = np.shape(x)  # type: ignore[call-overload]
    try:
        given: Any = np.broadcast_to(np.asarray(mask, np.float32), shape)
    except (TypeError, ValueError):
        raise PriemoError(
            f"mask is a {type(mask).__name__} of shape {getattr(mask, 'shape', 'unknown')}; it "
            f"must be numbers that can be broadcast to x, {shape}"
        ) from None
    found: FloatImages = (given != 0).astype(np.float32)
    return found
