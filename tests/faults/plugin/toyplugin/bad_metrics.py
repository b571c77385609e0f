"""Metrics that misbehave, each in its own way."""

from __future__ import annotations

from typing import Any

import numpy as np


def raises(x: Any, y: Any) -> Any:
    raise RuntimeError("out of luck")


def shape(x: Any, y: Any) -> Any:
    return np.zeros((len(x), 2))


def text(x: Any, y: Any) -> Any:
    return ["good"] * len(x)


def not_a_number(x: Any, y: Any) -> Any:
    return np.full(len(x), np.nan)


def writes_x(x: Any, y: Any) -> Any:
    x[:] = 0
    return np.zeros(len(x))


def writes_y(x: Any, y: Any) -> Any:
    y[:] = 0
    return np.zeros(len(x))
