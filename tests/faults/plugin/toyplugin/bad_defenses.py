"""Defenses that misbehave, each in its own way."""

from __future__ import annotations

from typing import Any

import numpy as np


def raises(x: Any) -> Any:
    raise RuntimeError("out of luck")


def not_a_number(x: Any) -> Any:
    return np.full(x.shape, np.nan, np.float32)


def nine(x: Any) -> Any:
    return np.full(x.shape, 9, np.float32)


def text(x: Any) -> Any:
    return "smooth"


def fewer(x: Any) -> Any:
    return x[1:].astype(np.float32) / 255


def shape(x: Any) -> Any:
    """Three channels of three rows."""
    return np.zeros((len(x), 3, 3, x.shape[-1]), np.float32)


def writes(x: Any) -> Any:
    x[:] = 255 - x
    return x.astype(np.float32) / 255
