"""The figures of a study, each one function from the table to axes; PNG and SVG files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from priemo_bench.contracts.storage import write_file
from priemo_bench.report.figures import DPI, styled
from priemo_bench.report.formatting import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Draw = Callable[[pd.DataFrame, "Axes"], None]


def averaging(table: pd.DataFrame, axis: Axes) -> None:
    """Protection that is left after averaging, by the number of images; dotted without it."""
    own = table[table["adversary"].isin(["average, plain", "average, Wiener"])]
    own = own.assign(method=own["adversary"].str.removeprefix("average, "), what=_what(own))
    colours = _lines(own, axis, "strength", "protection_after", "what", "method")
    for what, part in own.groupby("what"):
        axis.axhline(
            part["protection"].mean(), color=colours[str(what)], linestyle=":", linewidth=1
        )
    axis.set(
        xscale="log", ylim=(-0.03, 1.05), xlabel="published images averaged",
        ylabel="protection that is left",
    )  # fmt: skip


def pairs(table: pd.DataFrame, axis: Axes) -> None:
    """Protection that an informed purifier leaves, against the pairs that leaked."""
    own = table[table["adversary"].str.startswith("purifier")]
    same = own[own["given"].str.endswith("the same attack")]
    same = same.assign(what=_what(same), victim=same["victim"].map(plain))
    _lines(same, axis, "strength", "protection_after", "what", "victim")
    axis.set(
        xscale="log", ylim=(-0.03, 1.05), xlabel="leaked pairs", ylabel="protection that is left"
    )


def shares(table: pd.DataFrame, axis: Axes) -> None:
    """Accuracy on published faces of a network trained on them, against their share."""
    own = table[table["adversary"] == "train from scratch"]
    own = own.assign(what=_what(own), faces="published faces")
    clean = own.assign(accuracy_after=own["clean_accuracy_after"], faces="clean faces")
    both = pd.concat([own, clean], ignore_index=True)
    _lines(both, axis, "strength", "accuracy_after", "what", "faces")
    axis.set(xscale="log", ylim=(0, None), xlabel="share of training faces that are protected",
             ylabel="accuracy")  # fmt: skip


FIGURES: dict[str, tuple[Draw, str]] = {
    "averaging": (averaging, "Protection after averaging published images, mean over victims."),
    "pairs": (pairs, "Protection after an informed purifier, by leaked pairs."),
    "shares": (
        shares,
        "Accuracy of a small network by the share of protected faces it learnt from.",
    ),
}
"""Name of the file, what draws it, and its caption."""


def save_figures(table: pd.DataFrame, folder: Path) -> dict[str, str]:
    """Draw FIGURES that have something to show; the caption of each PNG in `folder`."""
    from matplotlib.figure import Figure

    captions = {}
    with styled():
        for name, (draw, caption) in FIGURES.items():
            figure = Figure(figsize=(6.2, 3.8))
            axis = figure.subplots()
            draw(table, axis)
            if not axis.lines:
                continue
            _save(figure, folder / f"{name}.png", "png")
            _save(figure, folder / f"{name}.svg", "svg")
            captions[f"{name}.png"] = caption
    return captions


def _save(figure: object, path: Path, kind: str) -> None:
    metadata = {"Date": None} if kind == "svg" else {}
    write_file(
        path,
        lambda file: figure.savefig(  # type: ignore[attr-defined]
            file, format=kind, dpi=DPI, bbox_inches="tight", metadata=metadata
        ),
    )


def _what(table: pd.DataFrame) -> list[str]:
    """Attack and floor of each line."""
    floors = ["" if pd.isna(floor) else f", SSIM {floor:g}" for floor in table["ssim_floor"]]
    return [plain(f"{name}{floor}") for name, floor in zip(table["attack"], floors, strict=True)]


def _lines(
    table: pd.DataFrame, axis: Axes, x: str, y: str, hue: str, style: str
) -> dict[str, tuple[float, float, float]]:
    """Lines of means, a colour for each `hue` and dashes for each `style`; the colours."""
    import seaborn as sns

    names = list(dict.fromkeys(table[hue]))
    colours = dict(zip(names, sns.color_palette("husl", len(names)), strict=True))
    if names:
        sns.lineplot(
            table, x=x, y=y, hue=hue, style=style, palette=colours, markers=True, errorbar=None,
            ax=axis,
        )  # fmt: skip
        axis.legend(fontsize=6, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return colours
