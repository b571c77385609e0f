"""The figures of a report, each in one place: its entry in FIGURES. Small PNG files.

By matplotlib alone: seaborn takes longer to import than all of them to draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from priemo_bench.contracts.storage import write_file
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.report.files import file_names
from priemo_bench.report.formatting import BUDGET_NAMES, Line, lines_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110
FAMILIES = ("per-image", "universal", "cryptographic", "transform", "control")
MARKERS = {"white-box": "o", "transfer": "^", "no-model": "s"}
LABELLED_FROM = 0.1
"""Points of less protection overlap: they get no label."""
LEAST_DROP = 1e-5
"""Of SSIM, for the logarithm."""
DARK = 0.7
"""A share below this has a dark cell, and white digits."""


@dataclass(frozen=True)
class ReportFigure:
    """A figure of a report.

    Attributes:
        name: of its file, `name`-`dataset`.png. caption: below it on the page.
        draw: from the tables of a run and a data set to the figure, None where there is none.
    """

    name: str
    caption: str
    draw: Callable[[Tables, str], Figure | None]


def save_figures(tables: Tables, folder: Path) -> dict[str, str]:
    """Draw FIGURES of every data set; caption of each file in `folder`, in reading order."""
    captions = {}
    parts = file_names(dict.fromkeys(names["dataset"] for names in tables.predictions.names))
    with styled():
        for dataset, part in parts.items():
            for own in FIGURES:
                figure = own.draw(tables, dataset)
                if figure is not None:
                    path = folder / f"{own.name}-{part}.png"
                    save(figure, path)
                    captions[path.name] = own.caption
    return captions


def styled() -> AbstractContextManager[None]:
    """The look of all figures."""
    from matplotlib import style

    return style.context(["seaborn-v0_8-whitegrid", "seaborn-v0_8-paper"])


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG."""
    write_file(path, lambda file: figure.savefig(file, format="png", dpi=DPI, bbox_inches="tight"))


def _label(line: Line) -> str:
    return str(line["attack"]) + (" (one strength)" if line["scale"] == "one" else "")


def plain(name: str) -> str:
    """A name as matplotlib writes it: what is between two dollar signs is no formula."""
    return name.replace("$", r"\$")


def _quality(tables: Tables, dataset: str) -> Figure | None:
    """Protection against the loss of SSIM: a point per method, one panel for each budget."""
    from matplotlib.figure import Figure

    table = tables.methods()
    table = table[(table["dataset"] == dataset) & ~table["targeted"]]
    budgets = [b for b in BUDGET_NAMES if (table["budget"] == b).any()]
    if not budgets:
        return None
    figure = Figure(figsize=(5.2 * len(budgets), 4.4))
    axes = figure.subplots(1, len(budgets), squeeze=False)
    for axis, budget in zip(axes[0], budgets, strict=True):
        own = lines_of(table[table["budget"] == budget])
        _scatter(axis, own, budget, tables.rows.bounds.ssim_floor)
    return figure


def _scatter(axis: Axes, lines: Sequence[Line], budget: str, floor: float | None) -> None:
    for line in lines:
        x, y = max(line["ssim_drop"], LEAST_DROP), line["protection_rate"]
        bar = [[max(y - line["protection_low"], 0)], [max(line["protection_high"] - y, 0)]]
        axis.errorbar(x, y, bar, fmt="none", ecolor="0.7", linewidth=0.8, zorder=0)
        if y >= LABELLED_FROM:
            axis.annotate(
                plain(_label(line)), (x, y), fontsize=6, xytext=(3, 3), textcoords="offset points"
            )
    for family, threat in dict.fromkeys((line["family"], line["threat"]) for line in lines):
        own = [line for line in lines if (line["family"], line["threat"]) == (family, threat)]
        axis.plot(
            [max(line["ssim_drop"], LEAST_DROP) for line in own],
            [line["protection_rate"] for line in own],
            MARKERS.get(threat, "D"), color=f"C{_place(family)}", markersize=6,
            markeredgecolor="white", label=f"{plain(family)}, {plain(threat)}",
        )  # fmt: skip
    if floor is not None and budget != "equal-psnr":
        axis.axvline(1 - floor, color="0.5", linestyle="--", linewidth=0.8)
    axis.set(
        xscale="log", ylim=(-0.03, 1.05), xlabel="mean loss of SSIM", ylabel="protection rate",
        title=BUDGET_NAMES[budget],
    )  # fmt: skip
    axis.minorticks_off()
    axis.xaxis.set_major_formatter("{x:g}")
    axis.legend(fontsize=6, loc="upper left", frameon=True)


def _place(family: str) -> int:
    return FAMILIES.index(family) if family in FAMILIES else len(FAMILIES)


def _transfer(tables: Tables, dataset: str) -> Figure | None:
    """Surrogate x victim, one panel for each method of the equal budget."""
    from matplotlib.figure import Figure

    table = tables.transfer()
    own = table[
        (table["dataset"] == dataset) & (table["budget"] == "equal") & (table["target"] == "-")
        & (table["surrogate"] != "-") & (table["scale"] != "one")
    ]  # fmt: skip
    attacks = [
        a for a, part in own.groupby("attack", sort=False) if part["surrogate"].nunique() > 1
    ]
    if not attacks:
        return None
    surrogates = own["surrogate"].unique()
    own = own.assign(surrogate=[short_name(s, surrogates) for s in own["surrogate"]])
    names = own["surrogate"].unique()
    label = 0.055 * max(map(len, names)) + 0.2
    width, height = 0.3 * own["victim"].nunique(), 0.25 * len(names)
    columns = min(4, len(attacks))
    rows = -(-len(attacks) // columns)
    figure = Figure(figsize=((width + label) * columns + 0.6, (height + 0.4) * rows + 1))
    axes = figure.subplots(
        rows, columns, squeeze=False, gridspec_kw={"wspace": label / width, "hspace": 0.4 / height}
    )
    for k, axis in enumerate(axes.flat):
        if k >= len(attacks):
            axis.remove()
            continue
        matrix = own[own["attack"] == attacks[k]].pivot_table(
            index="surrogate", columns="victim", values="protection_rate", observed=True, sort=False
        )
        _heatmap(axis, matrix, str(attacks[k]))
        if k + columns < len(attacks):
            axis.set_xticklabels([])
    return figure


def _heatmap(axis: Axes, matrix: pd.DataFrame, title: str) -> None:
    """Shares as per cent in coloured cells."""
    values = matrix.to_numpy(float)
    axis.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if not np.isnan(value):
            colour = "white" if value < DARK else "0.15"
            axis.text(j, i, f"{100 * value:.0f}", ha="center", va="center", color=colour, size=6)
    axis.grid(False)
    axis.set_xticks(range(values.shape[1]), [plain(str(name)) for name in matrix.columns],
                    rotation=90)  # fmt: skip
    axis.set_yticks(range(values.shape[0]), [plain(str(name)) for name in matrix.index])
    axis.set_title(plain(title))


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


def _defenses(tables: Tables, dataset: str) -> Figure | None:
    """Protection by attack and defense, mean over surrogates."""
    from matplotlib.figure import Figure

    table = tables.defended_methods()
    own = table[table["dataset"] == dataset]
    if own.empty:
        return None
    own = own.assign(name=[_label(line) for line in lines_of(own)])
    matrix = own.pivot_table(
        index="name", columns="defense", values="protection_rate", observed=True, sort=False
    )
    figure = Figure(figsize=(1.0 + 0.8 * matrix.shape[1], 0.8 + 0.26 * len(matrix)))
    _heatmap(figure.subplots(), matrix, "protection % under each defense")
    return figure


FIGURES = (
    ReportFigure(
        "quality",
        "Protection against quality: each point is a method, pooled over surrogates.",
        _quality,
    ),
    ReportFigure(
        "transfer",
        "Protection % by surrogate (row) and victim (column), equal SSIM.",
        _transfer,
    ),
    ReportFigure(
        "defenses",
        "Protection % at equal SSIM when the victim defends itself.",
        _defenses,
    ),
)
"""All figures of a report, in the order of the page."""
