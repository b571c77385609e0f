"""Protection against the strength of each family of filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from priemo_bench.report.formatting import lines_of, plain
from priemo_bench.report.palette import colour, marker
from priemo_bench.report.plots.labels import height_for, width_for
from priemo_bench.report.plots.methods import named
from priemo_bench.report.plots.style import SMALL, canvas, room, share_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

COLUMNS = 4
"""Of panels."""
CLEAN = "accuracy on clean faces"


def filters(table: pd.DataFrame, *, figure: FigureBase | None = None) -> npt.NDArray[np.object_]:
    """A panel for each family of filters with several strengths, a line for each method.

    The grey line is the clean accuracy of the victims that judge a row, under the filter.

    Args:
        table: of one data set and one budget, as `Results.defenses` pooled over surrogates, with
            `kind` and `x`, the family and strength of each filter.

    Returns:
        (panels,) Axes.
    """
    table = named(table.dropna(subset=["protection_rate"]))
    kinds = list(dict.fromkeys(table["kind"]))
    columns = min(COLUMNS, len(kinds))
    rows = -(-len(kinds) // columns)
    names = [str(name) for name in dict.fromkeys(table["name"])]
    right = width_for([*names, CLEAN]) + 0.35
    size = 1.9 * columns + right, max(1.7 * rows, height_for(len(names) + 1, 0)) + 0.3
    base = canvas(figure, *size)
    axes = base.subplots(rows, columns, squeeze=False, sharey=True).flatten()
    for axis in axes[len(kinds) :]:
        axis.remove()
    for axis, kind in zip(axes, kinds, strict=False):
        _panel(axis, table[table["kind"] == kind], str(kind))
    for axis in axes[: len(kinds) : columns]:
        axis.set_ylabel("protection rate", fontsize=SMALL)
    handles, labels = axes[0].get_legend_handles_labels()
    base.legend(handles, labels, loc="center right", fontsize=SMALL, frameon=False)
    room(base, size, left=0.45, right=right, bottom=0.25, top=0.25, hspace=0.4, wspace=0.1)
    return np.array(axes[: len(kinds)], dtype=object)


def _panel(axis: Axes, points: pd.DataFrame, title: str) -> None:
    for name, own in points.groupby("name", sort=False):
        own = own.sort_values("x")
        first = lines_of(own)[0]
        shade = colour(str(first["attack"]), str(first.get("family", "")))
        axis.fill_between(
            own["x"], own["protection_low"], own["protection_high"], color=shade, alpha=0.13, lw=0
        )
        axis.plot(
            own["x"], own["protection_rate"], "-", marker=marker(str(first["attack"])), ms=3, lw=1,
            color=shade, label=plain(str(name)),
        )  # fmt: skip
    clean = points.groupby("x")["clean_accuracy"].mean()
    axis.plot(clean.index, clean, "--", color="0.5", lw=1, label=CLEAN)
    share_axis(axis, label="")
    axis.set_title(plain(title), fontsize=SMALL + 0.5)
    axis.tick_params(labelsize=SMALL - 0.5)
    axis.minorticks_off()
