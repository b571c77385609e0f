"""Protection against the strength of each family of filters: a figure of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from priemo_bench.judge.leaderboard import Tables
from priemo_bench.report.formatting import lines_of, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4
"""Of panels."""
CLEAN = "accuracy on clean faces"


def filter_curves(tables: Tables, dataset: str) -> Figure | None:
    """A panel for each family of filters with several strengths, a line for each method.

    Strengths are those that the defenses name themselves (`family` and `strength`, among the facts
    of the run). The grey line is the clean accuracy of the victims that judge a row, under it.
    """
    from matplotlib.figure import Figure

    points = _points(tables, dataset)
    families = [f for f, part in points.groupby("kind", sort=False) if part["x"].nunique() > 1]
    if not families:
        return None
    rows = -(-len(families) // COLUMNS)
    figure = Figure(figsize=(2.6 * COLUMNS, 2.1 * rows + 0.6))
    axes = figure.subplots(rows, COLUMNS, squeeze=False, sharey=True)
    for axis in axes.flat[len(families) :]:
        axis.remove()
    for axis, family in zip(axes.flat, families, strict=False):
        _panel(axis, points[points["kind"] == family], str(family))
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=5, fontsize=6, frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.35 / figure.get_figheight()))
    return figure


def _points(tables: Tables, dataset: str) -> pd.DataFrame:
    """Protection rate and clean accuracy by method, family (`kind`) and strength (`x`)."""
    described: dict[str, Any] = tables.rows.facts.get("defenses") or {}
    table = tables.defended_methods().dropna(subset=["protection_rate"])
    table = table[(table["dataset"] == dataset) & (table["budget"] == "equal")]
    lines = [
        {**line, "kind": own["family"], "x": own["strength"]}
        for line in lines_of(table)
        if (own := described.get(line["defense"])) and own["strength"] is not None
    ]
    return pd.DataFrame(lines, columns=[*table.columns, "kind", "x"])


def _panel(axis: Axes, points: pd.DataFrame, title: str) -> None:
    for attack, own in points.groupby("attack", sort=False):
        own = own.sort_values("x")
        (line,) = axis.plot(
            own["x"], own["protection_rate"], "o-", ms=3, lw=1, label=plain(str(attack))
        )
        low, high = own["protection_low"], own["protection_high"]
        axis.fill_between(own["x"], low, high, color=line.get_color(), alpha=0.12, lw=0)
    clean = points.groupby("x")["clean_accuracy"].mean()
    axis.plot(clean.index, clean, "--", color="0.5", lw=1, label=CLEAN)
    axis.set_title(plain(title), fontsize=7)
    axis.set(ylim=(-0.03, 1.05))
    axis.tick_params(labelsize=6)
