"""The same images as the arrays that programs have at hand: views, other types, read-only."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Alike(NamedTuple):
    """An array, and a plain one, contiguous and writable, of the same images."""

    name: str
    given: Any
    plain: npt.NDArray[Any]


def alike(x: npt.NDArray[Any]) -> list[Alike]:
    """Images (n, c, h, w) in other memory layouts, and repeated without copies."""
    read_only = x.copy()
    read_only.setflags(write=False)
    one = np.repeat(x[:1], len(x), axis=0)
    views = {
        "a mirrored view": np.ascontiguousarray(x[..., ::-1])[..., ::-1],
        "a view of BGR or of reversed images": np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
        "a view of (n, h, w, c)": np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(
            0, 3, 1, 2
        ),
        "every second column of an array": np.repeat(x, 2, axis=-1)[..., ::2],
        "a read-only array": read_only,
    }
    found = [Alike(name, view, x) for name, view in views.items()]
    return [*found, Alike("a broadcast array", np.broadcast_to(one[:1], one.shape), one)]


def alike_floats(x: npt.NDArray[np.float32]) -> list[Alike]:
    """The same for floats, which may have other types and be tensors that require a gradient."""
    import torch

    others = {
        "float64": x.astype(np.float64),
        "big-endian floats": x.astype(">f4"),
        "a tensor that requires grad": torch.tensor(x, requires_grad=True),
    }
    return [*alike(x), *(Alike(name, other, x) for name, other in others.items())]
