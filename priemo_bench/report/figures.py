"""The figures of a report, each in one place: its entry in FIGURES. Small PNG files by seaborn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from priemo_bench.contracts.storage import write_file
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.report.files import file_names
from priemo_bench.report.formatting import BUDGET_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110
FAMILIES = ("per-image", "universal", "cryptographic", "transform", "control")
LABELLED_FROM = 0.1
"""Points of less protection overlap: they get no label."""


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
    import matplotlib as mpl

    mpl.use("Agg")
    import seaborn as sns

    sns.set_theme(style="whitegrid", context="paper")
    captions = {}
    parts = file_names(dict.fromkeys(names["dataset"] for names in tables.predictions.names))
    for dataset, part in parts.items():
        for own in FIGURES:
            figure = own.draw(tables, dataset)
            if figure is not None:
                path = folder / f"{own.name}-{part}.png"
                _save(figure, path)
                captions[path.name] = own.caption
    return captions


def _save(figure: Figure, path: Path) -> None:
    import matplotlib.pyplot as plt

    write_file(path, lambda file: figure.savefig(file, format="png", dpi=DPI, bbox_inches="tight"))
    plt.close(figure)


def _label(line: pd.Series) -> str:
    return plain(line["attack"]) + (" (one strength)" if line["scale"] == "one" else "")


def plain(name: str) -> str:
    """A name as matplotlib writes it: what is between two dollar signs is no formula."""
    return name.replace("$", r"\$")


def _quality(tables: Tables, dataset: str) -> Figure | None:
    """Protection against the loss of SSIM: a point per method, one panel for each budget."""
    import matplotlib.pyplot as plt

    table = tables.methods()
    if table.empty:
        return None
    table = table[(table["dataset"] == dataset) & ~table["targeted"]]
    budgets = [b for b in BUDGET_NAMES if (table["budget"] == b).any()]
    if not budgets:
        return None
    figure, axes = plt.subplots(1, len(budgets), figsize=(5.2 * len(budgets), 4.4), squeeze=False)
    for axis, budget in zip(axes[0], budgets, strict=True):
        _scatter(axis, table[table["budget"] == budget], budget, tables.rows.bounds.ssim_floor)
    return figure


def _scatter(axis: Axes, table: pd.DataFrame, budget: str, floor: float | None) -> None:
    import seaborn as sns

    table = table.assign(drop=table["ssim_drop"].clip(lower=1e-5))
    sns.scatterplot(
        table, x="drop", y="protection_rate", hue="family", style="threat", s=55, ax=axis,
        palette=dict(zip(FAMILIES, sns.color_palette(), strict=False)),
    )  # fmt: skip
    low = table["protection_rate"] - table["protection_low"]
    high = table["protection_high"] - table["protection_rate"]
    axis.errorbar(
        table["drop"], table["protection_rate"], yerr=[low.clip(lower=0), high.clip(lower=0)],
        fmt="none", ecolor="0.7", linewidth=0.8, zorder=0,
    )  # fmt: skip
    for _, line in table[table["protection_rate"] >= LABELLED_FROM].iterrows():
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


def _transfer(tables: Tables, dataset: str) -> Figure | None:
    """Surrogate x victim, one panel for each method of the equal budget."""
    import matplotlib.pyplot as plt
    import seaborn as sns

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
    own = own.assign(
        surrogate=[plain(short_name(s, surrogates)) for s in own["surrogate"]],
        victim=own["victim"].astype(str).map(plain),
    )
    names = own["surrogate"].unique()
    width = 0.3 * own["victim"].nunique() + 0.055 * max(map(len, names)) + 0.2
    height = 0.25 * len(names) + 1.2
    columns = min(4, len(attacks))
    rows = -(-len(attacks) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(width * columns + 0.6, height * rows), squeeze=False, sharex=True
    )
    for axis in axes.flat[len(attacks) :]:
        axis.remove()
    for axis, attack in zip(axes.flat, attacks, strict=False):
        matrix = own[own["attack"] == attack].pivot_table(
            index="surrogate", columns="victim", values="protection_rate", observed=True, sort=False
        )
        sns.heatmap(
            100 * matrix, annot=True, fmt=".0f", vmin=0, vmax=100, cmap="viridis", cbar=False,
            annot_kws={"fontsize": 6}, ax=axis,
        )  # fmt: skip
        axis.set(title=plain(attack), xlabel="", ylabel="")
    figure.supxlabel("victim", fontsize=8)
    figure.supylabel("surrogate", fontsize=8)
    figure.tight_layout()
    return figure


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
    import matplotlib.pyplot as plt
    import seaborn as sns

    table = tables.defended_methods()
    own = table[table["dataset"] == dataset] if len(table) else table
    if own.empty:
        return None
    own = own.assign(
        name=[_label(line) for _, line in own.iterrows()],
        defense=own["defense"].map(plain),
    )
    matrix = own.pivot_table(
        index="name", columns="defense", values="protection_rate", observed=True, sort=False
    )
    figure, axis = plt.subplots(figsize=(1.0 + 0.8 * matrix.shape[1], 0.8 + 0.26 * len(matrix)))
    sns.heatmap(
        100 * matrix, annot=True, fmt=".0f", vmin=0, vmax=100, cmap="viridis", cbar=False,
        annot_kws={"fontsize": 6}, ax=axis,
    )  # fmt: skip
    axis.set(xlabel="", ylabel="", title="protection % under each defense")
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
