"""Heat maps: surrogate by victim, and method by defense."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from priemo_bench.report.formatting import plain
from priemo_bench.report.plots.methods import named
from priemo_bench.report.plots.style import LETTER, SMALL, canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

WIDE, HIGH = 0.31, 0.21
"""Inches of a cell."""
COLUMNS = 3
"""Of panels."""
MAP = "viridis"


def transfer(table: pd.DataFrame, *, figure: FigureBase | None = None) -> npt.NDArray[np.object_]:
    """Protection % by surrogate and victim, a panel for each method with several surrogates.

    Surrogates come in the order of the table; victims in the same order (of those that surrogates
    leave out, where these are fewer), then the others. A frame marks a victim that is one of the
    surrogates.

    Args:
        table: of one data set and one budget, with the columns of transfer.csv.

    Returns:
        (panels,) Axes.
    """
    table = table.dropna(subset=["protection_rate"]).assign(attack=table["attack"].astype(str))
    surrogates = [str(s) for s in dict.fromkeys(table["surrogate"])]
    short = {name: short_name(name, surrogates) for name in surrogates}
    single = [short[s].removeprefix("all but ") for s in surrogates]
    seen = [str(v) for v in dict.fromkeys(table["victim"])]
    victims = [v for v in single if v in seen] + [v for v in seen if v not in single]
    attacks = list(dict.fromkeys(table["attack"]))
    matrices = []
    for attack in attacks:
        own = table[table["attack"] == attack]
        matrix = _matrix(own, "surrogate", "victim")
        matrices.append(
            matrix.reindex(columns=victims, index=list(dict.fromkeys(own["surrogate"])))
        )
    axes = _panels(matrices, short, figure)
    for axis, attack, matrix in zip(axes, attacks, matrices, strict=True):
        _frame(axis, matrix)
        axis.set_title(plain(attack))
    return axes


def _panels(
    matrices: list[pd.DataFrame], short: dict[str, str], figure: FigureBase | None
) -> npt.NDArray[np.object_]:
    """A heat map of each matrix, all of one scale, with one colour bar."""
    columns = min(COLUMNS, len(matrices))
    rows = -(-len(matrices) // columns)
    left = LETTER * max(len(short[str(name)]) for m in matrices for name in m.index) + 0.25
    below = LETTER * max(len(str(name)) for m in matrices for name in m.columns) + 0.3
    wide = WIDE * max(m.shape[1] for m in matrices)
    high = HIGH * max(len(m) for m in matrices)
    size = (left + wide) * columns + 0.75, (high + below + 0.3) * rows
    base = canvas(figure, *size)
    axes = []
    for k, matrix in enumerate(matrices):
        row, column = divmod(k, columns)
        own = HIGH * len(matrix)
        x = (left + wide) * column + left
        y = (high + below + 0.3) * (rows - row) - 0.3 - own
        axis = base.add_axes(
            (x / size[0], y / size[1], WIDE * matrix.shape[1] / size[0], own / size[1])
        )
        _heatmap(axis, matrix, [short[str(name)] for name in matrix.index])
        axis.set(xlabel="victim" if k + columns >= len(matrices) else "",
                 ylabel="surrogate" if column == 0 else "")  # fmt: skip
        axes.append(axis)
    _colour_bar(base, axes, size)
    return np.array(axes, dtype=object)


def _heatmap(axis: Axes, matrix: pd.DataFrame, names: Iterable[str]) -> None:
    """Shares as per cent in coloured cells; grey where there is none."""
    import seaborn as sns

    sns.heatmap(
        100 * matrix.astype(float), annot=True, fmt=".0f", vmin=0, vmax=100, cmap=MAP, cbar=False,
        annot_kws={"fontsize": SMALL}, ax=axis, linewidths=0.4, linecolor="white",
        xticklabels=[plain(str(name)) for name in matrix.columns],
        yticklabels=[plain(str(name)) for name in names],
    )  # fmt: skip
    axis.set_facecolor("0.92")
    axis.tick_params(axis="x", rotation=90, length=0, pad=2)
    axis.tick_params(axis="y", rotation=0, length=0, pad=2)


def _frame(axis: Axes, matrix: pd.DataFrame) -> None:
    """Frames around the cells of victims that the attack looked into."""
    from matplotlib.patches import Rectangle

    for y, surrogate in enumerate(matrix.index):
        for x, victim in enumerate(matrix.columns):
            if str(victim) in str(surrogate).split("+"):
                box = Rectangle((x, y), 1, 1, fill=False, ec="#d55e00", lw=1.1, clip_on=False)
                axis.add_patch(box)


def _colour_bar(base: FigureBase, axes: list[Axes], size: tuple[float, float]) -> None:
    """One scale for all panels, right of them."""
    first: Any = axes[0].collections[0]
    box = axes[min(COLUMNS, len(axes)) - 1].get_position()
    bar = base.add_axes((box.x1 + 0.1 / size[0], box.y0, 0.1 / size[0], box.height))
    axes[0].figure.colorbar(first, cax=bar, label="protection %")
    bar.tick_params(labelsize=SMALL)
    bar.yaxis.label.set_fontsize(SMALL)


def _matrix(table: pd.DataFrame, index: str, columns: str) -> pd.DataFrame:
    return table.pivot_table(
        index=index, columns=columns, values="protection_rate", observed=True, sort=False
    )


def short_name(surrogate: str, among: Iterable[str]) -> str:
    """Several surrogates by those they leave out, where these are fewer: "all but vgg".

    Args:
        surrogate: names joined by "+". among: all that are in the same figure.

    Example:
        >>> short_name("a+b+c+d", ["a+b+c+d", "b+c+d+e"])
        'all but e'
    """
    names = surrogate.split("+")
    everyone = dict.fromkeys(name for other in among for name in other.split("+"))
    missing = [name for name in everyone if name not in names]
    if len(names) < 4 or len(missing) >= len(names):
        return surrogate
    return f"all but {'+'.join(missing)}" if missing else f"all {len(names)}"


def defenses(table: pd.DataFrame, *, figure: FigureBase | None = None) -> Axes:
    """Protection % by method and defense, the longer of the two down the page; none comes first.

    Args:
        table: of one data set and one budget, with the columns of defenses.csv, or of the same
            pooled over surrogates.
    """
    table = named(table.dropna(subset=["protection_rate"]))
    matrix = _matrix(table, "name", "defense")
    order = sorted(matrix.columns, key=lambda name: name != "none")
    matrix = matrix[order]
    matrix = matrix.loc[matrix.max(axis=1).sort_values(ascending=False, kind="stable").index]
    if matrix.shape[1] > len(matrix):
        matrix = matrix.T
    short = {str(name): str(name) for name in matrix.index}
    axis: Axes
    (axis,) = _panels([matrix], short, figure)
    axis.set(xlabel="", ylabel="")
    return axis
