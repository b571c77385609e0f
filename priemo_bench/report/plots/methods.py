"""Methods in a figure: their intervals, and protection against quality and time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from priemo_bench.report.formatting import Line, budget_name, lines_of, plain
from priemo_bench.report.palette import SHADES, colour, family_of, marker
from priemo_bench.report.plots.labels import Label, height_for, label_right, width_for
from priemo_bench.report.plots.style import SMALL, canvas, log_axis, room, share_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

ROW = 0.19
"""Inches for a row of the interval plot."""
BUDGET_MARKERS = ("o", "s", "^", "D", "v")
NAMED_FROM = 0.05
"""Points of less protection lie on each other; the interval plot has their names."""
LEAST_DROP, LEAST_MS = 1e-5, 1e-2
"""For logarithms: of SSIM, and of milliseconds."""


def named(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a `name` for each method: the attack, and what else tells two of them apart.

    Scale, scope and threat model are added only where methods of one attack differ in them.
    """
    names = table["attack"].astype(str)
    for column in ("scope", "scale", "threat"):
        if column not in table:
            continue
        own = table[column].astype(str)
        differs = own.groupby(names).transform("nunique") > 1
        shown = {"one": "one strength", "per image": "scaled per image"}
        names = names.where(~differs | (own == "-"), names + ", " + own.replace(shown))
    return table.assign(name=names)


def forest(table: pd.DataFrame, *, figure: FigureBase | None = None) -> Axes:
    """Protection rate and 95 % interval of every method, best first; a marker for each budget.

    An empty marker: the row is not ranked (it does not keep its budget, or leaves some unused).

    Args:
        table: of one data set, with the columns of methods.csv (or leaderboard.csv).
    """
    table = named(table.dropna(subset=["protection_rate"]))
    budgets = list(dict.fromkeys(table["budget"].astype(str)))
    best = table.groupby("name", sort=False)["protection_rate"].max()
    names = list(best.sort_values(ascending=False, kind="stable").index)
    row = ROW * max(1, 0.55 * len(budgets) + 0.45)
    left = width_for(names) + 0.1
    size = left + 4.0, row * len(names) + 0.75
    base = canvas(figure, *size)
    axis = base.subplots()
    room(base, size, left=left, right=0.15, bottom=0.45, top=0.3)
    for line in lines_of(table):
        k = budgets.index(str(line["budget"]))
        y = names.index(line["name"]) + 0.7 * ((k + 0.5) / len(budgets) - 0.5)
        own = colour(str(line["attack"]), str(line.get("family", "")))
        axis.plot(
            [line["protection_low"], line["protection_high"]], [y, y], color=own, lw=1.3, alpha=0.7,
            solid_capstyle="butt",
        )  # fmt: skip
        axis.plot(
            line["protection_rate"], y, BUDGET_MARKERS[k % len(BUDGET_MARKERS)], ms=4.2, color=own,
            mfc="white" if line["rank"] != line["rank"] else own, clip_on=False,
        )  # fmt: skip
    axis.set_yticks(range(len(names)), [plain(name) for name in names])
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.grid(axis="y", visible=False)
    for y in range(1, len(names), 2):
        axis.axhspan(y - 0.5, y + 0.5, color="0.965", zorder=0, lw=0)
    share_axis(axis, "x", "protection rate, 95 % interval")
    _budget_legend(axis, table, budgets)
    return axis


def _budget_legend(axis: Axes, table: pd.DataFrame, budgets: list[str]) -> None:
    words = [budget_name(lines_of(table[table["budget"] == budget])[0]) for budget in budgets]
    if len(budgets) < 2:
        axis.set_title("".join(words))
        return
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color="0.3", marker=BUDGET_MARKERS[k % len(BUDGET_MARKERS)], ls="", ms=4.2)
        for k in range(len(budgets))
    ]
    axis.legend(
        handles, words, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=len(budgets),
        frameon=False, handletextpad=0.2,
    )  # fmt: skip


def quality(table: pd.DataFrame, *, figure: FigureBase | None = None) -> Axes:
    """Protection against the loss of SSIM, a point for each method.

    Args:
        table: of one data set and one budget, with the columns of methods.csv.
    """
    table = table.dropna(subset=["ssim_drop", "protection_rate"])
    shown = table.assign(x=table["ssim_drop"].clip(lower=LEAST_DROP))
    return _scatter(shown, "mean loss of SSIM (1 - SSIM)", figure)


def speed(table: pd.DataFrame, *, figure: FigureBase | None = None) -> Axes:
    """Protection against the time to protect one image, a point for each method.

    Args:
        table: of one data set, with the columns of methods.csv; a marker for each budget, where it
            has several.
    """
    table = table.dropna(subset=["ms_per_image", "protection_rate"])
    shown = table.assign(x=table["ms_per_image"].clip(lower=LEAST_MS))
    return _scatter(shown, "milliseconds to protect an image", figure)


def _scatter(table: pd.DataFrame, label: str, figure: FigureBase | None) -> Axes:
    """Points of `x` and protection rate with their names, x on a logarithm.

    Of one budget with intervals, a marker for each method; of several a marker for each budget, and
    a line through the points of a method.
    """
    table = named(table)
    budgets = list(dict.fromkeys(table["budget"].astype(str)))
    best = table.loc[table.groupby("name", sort=False)["protection_rate"].idxmax()]
    shown = lines_of(best[best["protection_rate"] >= NAMED_FROM])
    height = height_for(len(shown), 3.0)
    right = width_for(str(line["name"]) for line in shown) + 0.15
    size = 4.6 + right, height + 0.95
    base = canvas(figure, *size)
    axis = base.subplots()
    room(base, size, left=0.5, right=right, bottom=0.65, top=0.3)
    for _, part in table.groupby("name", sort=False):
        _points(axis, part, budgets)
    log_axis(axis)
    rest = len(best) - len(shown)
    note = f"; {rest} below {100 * NAMED_FROM:g} % without a name" if rest else ""
    axis.set_xlabel(label + note)
    share_axis(axis)
    families = [str(line.get("family") or family_of(line["attack"])) for line in lines_of(best)]
    _family_legend(axis, height, families)
    _budget_legend(axis, table, budgets)
    labels = [
        Label(
            line["x"], line["protection_rate"], str(line["name"]), _colour(line),
            _mark(line, budgets),
        )
        for line in shown
    ]  # fmt: skip
    label_right(axis, labels, height)
    return axis


def _points(axis: Axes, part: pd.DataFrame, budgets: list[str]) -> None:
    """The points of one method: of one budget with its interval, of several with a line."""
    lines = lines_of(part)
    own = _colour(lines[0])
    if len(budgets) > 1:
        axis.plot(part["x"], part["protection_rate"], "-", color=own, lw=0.8, alpha=0.6)
    for line in lines:
        x, rate = line["x"], line["protection_rate"]
        if len(budgets) == 1:
            ends = [line["protection_low"], line["protection_high"]]
            axis.plot([x, x], ends, color=own, lw=1, alpha=0.5)
        axis.plot(
            x, rate, _mark(line, budgets), color=own, ms=5.5, mec="white", mew=0.5, clip_on=False
        )


def _mark(line: Line, budgets: list[str]) -> str:
    if len(budgets) == 1:
        return marker(str(line["attack"]))
    return BUDGET_MARKERS[budgets.index(str(line["budget"])) % len(BUDGET_MARKERS)]


def _colour(line: Line) -> str:
    return colour(str(line["attack"]), str(line.get("family", "")))


def _family_legend(axis: Axes, height: float, families: list[str]) -> None:
    from matplotlib.patches import Patch

    present = dict.fromkeys(families)
    handles = [Patch(color=_family_colour(family), label=plain(family)) for family in present]
    legend = axis.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.38 / height),
        ncols=len(handles), frameon=False, fontsize=SMALL, handlelength=0.8,
    )  # fmt: skip
    axis.add_artist(legend)  # kept beside the next one


def _family_colour(family: str) -> str:
    return SHADES.get(family, SHADES[""])[1]
