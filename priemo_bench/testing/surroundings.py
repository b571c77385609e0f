"""What a plug-in may not change: random generators, torch's modes, numpy's, and the folder."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

_STATES: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "the state of Python's random": (random.getstate, random.setstate),
    "the state of np.random": (np.random.get_state, np.random.set_state),
    "the state of torch's generator": (torch.get_rng_state, torch.set_rng_state),
    "torch's grad mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "torch's default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "numpy's error handling": (np.geterr, lambda value: np.seterr(**value)),
    "the current folder": (os.getcwd, os.chdir),
}
"""How each is read and set."""


@contextmanager
def watched() -> Iterator[list[str]]:
    """Yields a list that holds, afterwards, what was changed within; all of it is put back."""
    before = {name: read() for name, (read, _) in _STATES.items()}
    fresh = int.from_bytes(os.urandom(4), "big")  # who seeds must be seen, whatever was before
    random.seed(fresh)
    np.random.seed(fresh)  # noqa: NPY002
    torch.manual_seed(fresh)
    now = {name: read() for name, (read, _) in _STATES.items()}
    changed: list[str] = []
    try:
        yield changed
    finally:
        changed += [n for n, (read, _) in _STATES.items() if not _equal(now[n], read())]
        for name, (_, put) in _STATES.items():
            put(before[name])


@contextmanager
def stirred(seed: int) -> Iterator[None]:
    """Within it the global generators have another state; after it, the one they had."""
    with watched():
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        yield


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(a == b)
