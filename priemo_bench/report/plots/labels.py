"""Names beside what they name, none over another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from priemo_bench.report.formatting import plain
from priemo_bench.report.plots.style import LETTER, SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE = 1.25 * SMALL / 72
"""Inches that a label needs."""
GAP = 0.03
"""Between axes and labels, as a part of the width."""


@dataclass(frozen=True)
class Label:
    """A text for a point of the axes, whose marker is repeated beside it."""

    x: float
    y: float
    text: str
    colour: str
    marker: str


def spread(
    places: Sequence[float], gap: float, low: float = 0.0, high: float = 1.0
) -> npt.NDArray[np.float64]:
    """Places nearest to the wanted ones, `gap` apart and in their order, within low and high.

    The least squares solution, by pooling adjacent violators (Ayer et al. 1955); where there is no
    room for all, they go over `high`.

    Example:
        >>> spread([0.5, 0.5, 0.9], 0.25).tolist()
        [0.375, 0.625, 0.9]
    """
    order = np.argsort(places, kind="stable")
    steps = gap * np.arange(len(places))
    blocks: list[tuple[float, int]] = []
    for value in np.asarray(places, float)[order] - steps:
        mean, size = float(value), 1
        while blocks and blocks[-1][0] > mean:
            last, n = blocks.pop()
            mean, size = (last * n + mean * size) / (n + size), n + size
        blocks.append((mean, size))
    flat = np.concatenate([np.full(n, mean) for mean, n in blocks] or [np.empty(0)])
    room = max(high - gap * (len(places) - 1), low)
    found = np.empty(len(places))
    found[order] = flat.clip(low, room) + steps
    return found


def label_right(axis: Axes, labels: Sequence[Label], height: float) -> None:
    """Write labels right of the axes at the height of their points, with a thin line to each.

    The limits of the axes must be set before.

    Args:
        height: of the axes, in inches.
    """
    to_axes = axis.transData.transform, axis.transAxes.inverted().transform
    points = [to_axes[1](to_axes[0]((own.x, own.y))) for own in labels]
    gap = LINE / height
    places = spread([p[1] for p in points], gap)
    for own, (x, y), place in zip(labels, points, places, strict=True):
        axis.plot(
            [x, 1, 1 + GAP], [y, y, place], transform=axis.transAxes, color=own.colour, lw=0.5,
            alpha=0.6, clip_on=False, scalex=False, scaley=False,
        )  # fmt: skip
        axis.plot(
            1 + GAP, place, own.marker, transform=axis.transAxes, color=own.colour, ms=3.2,
            clip_on=False, scalex=False, scaley=False,
        )  # fmt: skip
        axis.text(
            1 + 1.7 * GAP, place, plain(own.text), transform=axis.transAxes, fontsize=SMALL,
            color=own.colour, va="center",
        )  # fmt: skip


def height_for(labels: int, least: float) -> float:
    """Height of axes in inches that so many labels find room beside."""
    return max(least, LINE * (labels + 1))


def width_for(labels: Iterable[str]) -> float:
    """Inches of the longest of some labels, about."""
    return 0.15 + LETTER * max(map(len, labels), default=0)
