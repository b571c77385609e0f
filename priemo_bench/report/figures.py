"""The figures of a report, each in one place: its entry in FIGURES. Small PNG files by seaborn.

Seaborn is slow to import: only what draws imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from priemo_bench.contracts.storage import write_file
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.report.files import file_names
from priemo_bench.report.filter_curves import filter_curves
from priemo_bench.report.formatting import BUDGET_NAMES, Line, lines_of, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110
FAMILIES = ("per-image", "universal", "cryptographic", "transform", "control")
MARKERS = {"white-box": "o", "no-model": "X", "transfer": "s"}
LABELLED_FROM = 0.1
"""Points of less protection overlap: they get no label."""
LEAST_DROP = 1e-5
"""Of SSIM, for the logarithm."""


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


@contextmanager
def styled() -> Iterator[None]:
    """The look of all figures; other figures of the process keep theirs."""
    import matplotlib as mpl
    import seaborn as sns

    with mpl.rc_context():
        sns.set_theme(style="whitegrid", context="paper")
        yield


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG."""
    write_file(path, lambda file: figure.savefig(file, format="png", dpi=DPI, bbox_inches="tight"))


def _label(line: Line) -> str:
    return plain(str(line["attack"])) + (" (one strength)" if line["scale"] == "one" else "")


def _quality(tables: Tables, dataset: str) -> Figure | None:
    """Protection against the loss of SSIM: a point per method, one panel for each budget."""
    from matplotlib.figure import Figure

    table = tables.methods().dropna(subset=["ssim_drop", "protection_rate"])
    table = table[(table["dataset"] == dataset) & ~table["targeted"]]
    budgets = [b for b in BUDGET_NAMES if (table["budget"] == b).any()]
    if not budgets:
        return None
    figure = Figure(figsize=(5.2 * len(budgets), 4.4))
    axes = figure.subplots(1, len(budgets), squeeze=False)
    for axis, budget in zip(axes[0], budgets, strict=True):
        _scatter(axis, table[table["budget"] == budget], budget, tables.rows.bounds.ssim_floor)
    return figure


def _scatter(axis: Axes, table: pd.DataFrame, budget: str, floor: float | None) -> None:
    import seaborn as sns

    family, threat = (table[name].astype(str).map(plain) for name in ("family", "threat"))
    drop = table["ssim_drop"].clip(lower=LEAST_DROP)
    table = table.assign(drop=drop, family=family, threat=threat)
    colours = sns.color_palette()
    sns.scatterplot(
        table, x="drop", y="protection_rate", hue="family", style="threat", s=55, ax=axis,
        palette={name: colours[_place(name)] for name in family},
        markers={name: MARKERS.get(name, "D") for name in threat},
    )  # fmt: skip
    low = table["protection_rate"] - table["protection_low"]
    high = table["protection_high"] - table["protection_rate"]
    axis.errorbar(
        drop, table["protection_rate"], yerr=[low.clip(lower=0), high.clip(lower=0)],
        fmt="none", ecolor="0.7", linewidth=0.8, zorder=0,
    )  # fmt: skip
    for line in lines_of(table[table["protection_rate"] >= LABELLED_FROM]):
        axis.annotate(
            _label(line), (line["drop"], line["protection_rate"]), fontsize=6,
            xytext=(3, 3), textcoords="offset points",
        )  # fmt: skip
    if floor is not None and budget != "equal-psnr":
        axis.axvline(1 - floor, color="0.5", linestyle="--", linewidth=0.8)
    axis.set(
        xscale="log", ylim=(-0.03, 1.05), xlabel="mean loss of SSIM", ylabel="protection rate",
        title=BUDGET_NAMES[budget],
    )  # fmt: skip
    axis.legend(fontsize=6, loc="upper left")


def _place(family: str) -> int:
    return FAMILIES.index(family) if family in FAMILIES else len(FAMILIES)


def _transfer(tables: Tables, dataset: str) -> Figure | None:
    """Surrogate x victim, one panel for each method of the equal budget."""
    from matplotlib.figure import Figure

    table = tables.transfer().dropna(subset=["protection_rate"])
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
    names, victims = own["surrogate"].unique(), own["victim"].unique()
    label = 0.055 * max(map(len, names)) + 0.2
    width, height = 0.3 * len(victims), 0.25 * len(names)
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
        matrix = _matrix(own[own["attack"] == attacks[k]], "surrogate", "victim")
        _heatmap(axis, matrix.reindex(columns=victims), str(attacks[k]))
        axis.tick_params(axis="x", rotation=90)
        if k + columns < len(attacks):
            axis.set_xticklabels([])
        else:
            axis.set_xlabel("victim")
        if k % columns == 0:
            axis.set_ylabel("surrogate")
    return figure


def _matrix(table: pd.DataFrame, index: str, columns: str) -> pd.DataFrame:
    return table.pivot_table(
        index=index, columns=columns, values="protection_rate", observed=True, sort=False
    )


def _heatmap(axis: Axes, matrix: pd.DataFrame, title: str) -> None:
    """Shares as per cent in coloured cells."""
    import seaborn as sns

    sns.heatmap(
        100 * matrix.astype(float), annot=True, fmt=".0f", vmin=0, vmax=100, cmap="viridis",
        cbar=False, annot_kws={"fontsize": 6}, ax=axis,
        xticklabels=[plain(str(name)) for name in matrix.columns],
        yticklabels=[plain(str(name)) for name in matrix.index],
    )  # fmt: skip
    axis.tick_params(axis="y", rotation=0)
    axis.set(title=plain(title), xlabel="", ylabel="")


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

    table = tables.defended_methods().dropna(subset=["protection_rate"])
    own = table[table["dataset"] == dataset]
    if own.empty:
        return None
    own = own.assign(name=[_label(line) for line in lines_of(own)])
    matrix = _matrix(own, "name", "defense")
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
    ReportFigure(
        "filters",
        "Protection rate at equal SSIM against the strength of each family of filters.",
        filter_curves,
    ),
)
"""All figures of a report, in the order of the page."""
