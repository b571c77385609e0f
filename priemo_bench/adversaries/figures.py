"""The figures of a study, each one public function from the table to Axes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from priemo_bench.report.figures import draw_all
from priemo_bench.report.formatting import lines_of
from priemo_bench.report.palette import MARKERS, colour
from priemo_bench.report.plots.labels import Label, height_for, label_right, width_for
from priemo_bench.report.plots.style import canvas, log_axis, room, share_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

LINE = ["attack", "family", "ssim_floor", "how"]
"""What one line of a figure is."""
DASHES = ("-", "--", ":", "-.")
LEFT = "protection that is left"


def averaging_lines(table: pd.DataFrame) -> pd.DataFrame:
    """Of adversaries who average published images: means over victims by their number."""
    own = table[table["adversary"].isin(["average, plain", "average, Wiener"])]
    return _means(own.assign(how=own["adversary"].str.removeprefix("average, ")))


def averaging(table: pd.DataFrame, *, figure: FigureBase | None = None) -> Axes:
    """Protection that is left after averaging, by the number of images; dotted without it.

    Args:
        table: `averaging_lines`.
    """
    axis = _series(table, "protection_after", "published images averaged", LEFT, figure)
    for (attack, family), part in table.groupby(["attack", "family"], sort=False):
        shade = colour(str(attack), str(family))
        for level in part.groupby("ssim_floor", dropna=False)["protection"].mean():
            axis.axhline(level, color=shade, linestyle=":", linewidth=1)
    return axis


def pair_lines(table: pd.DataFrame) -> pd.DataFrame:
    """Of purifiers that learnt from leaked pairs of the very attack, by victim and pairs."""
    own = table[table["adversary"].str.startswith("purifier")]
    same = own[own["given"].str.endswith("the same attack")]
    return _means(same.assign(how=same["victim"]))


def pairs(table: pd.DataFrame, *, figure: FigureBase | None = None) -> Axes:
    """Protection that an informed purifier leaves, against the pairs that leaked.

    Args:
        table: `pair_lines`.
    """
    return _series(table, "protection_after", "leaked pairs", LEFT, figure)


def share_lines(table: pd.DataFrame) -> pd.DataFrame:
    """Of a network trained on faces some of which are protected, by their share."""
    own = table[table["adversary"] == "train from scratch"].assign(how="published faces")
    clean = own.assign(accuracy_after=own["clean_accuracy_after"], how="clean faces")
    return _means(pd.concat([own, clean], ignore_index=True))


def shares(table: pd.DataFrame, *, figure: FigureBase | None = None) -> Axes:
    """Accuracy on published faces of a network trained on them, against their share.

    Args:
        table: `share_lines`.
    """
    words = "share of training faces that are protected"
    return _series(table, "accuracy_after", words, "accuracy", figure)


class StudyFigure(NamedTuple):
    """What a figure shows of the table of a study, what draws it, and its caption."""

    lines: Callable[[pd.DataFrame], pd.DataFrame]
    draw: Callable[..., Axes]
    caption: str


FIGURES = {
    "averaging": StudyFigure(
        averaging_lines,
        averaging,
        "Protection after averaging published images, mean over victims; dotted: without it.",
    ),
    "pairs": StudyFigure(
        pair_lines, pairs, "Protection after an informed purifier, by leaked pairs."
    ),
    "shares": StudyFigure(
        share_lines,
        shares,
        "Accuracy of a small network by the share of protected faces it learnt from.",
    ),
}
"""By name of their files."""


def save_figures(table: pd.DataFrame, folder: Path) -> dict[str, str]:
    """Draw FIGURES that have something to show; the caption of each PNG in `folder`."""
    found = {name: own.lines(table) for name, own in FIGURES.items()}
    shown = {name: lines for name, lines in found.items() if len(lines)}
    draw_all((FIGURES[name].draw, lines, folder / name) for name, lines in shown.items())
    return {f"{name}.png": FIGURES[name].caption for name in shown}


def _means(table: pd.DataFrame) -> pd.DataFrame:
    """Means by LINE and strength, in the order of the table."""
    known = table.dropna(subset=["strength"])
    values = ["protection", "protection_after", "accuracy_after", "clean_accuracy_after"]
    groups = known.groupby([*LINE, "strength"], sort=False, dropna=False)[values]
    return groups.mean().reset_index()


def _series(table: pd.DataFrame, y: str, label: str, words: str, figure: FigureBase | None) -> Axes:
    """A line for each LINE with its name beside: dashes by `how`, markers by floor."""
    hows = list(dict.fromkeys(table["how"]))
    floors = list(dict.fromkeys(table["ssim_floor"].fillna(0)))
    groups = list(table.groupby(LINE, sort=False, dropna=False))
    names = [_name(lines_of(part)[0], len(hows)) for _, part in groups]
    height = height_for(len(groups), 3.0)
    right = width_for(names) + 0.15
    size = 4.2 + right, height + 0.65
    base = canvas(figure, *size)
    axis = base.subplots()
    room(base, size, left=0.5, right=right, bottom=0.45, top=0.15)
    labels = []
    for name, (_, part) in zip(names, groups, strict=True):
        part = part.sort_values("strength")
        last = lines_of(part)[-1]
        shade = colour(str(last["attack"]), str(last["family"]))
        mark = MARKERS[floors.index(0 if pd.isna(last["ssim_floor"]) else last["ssim_floor"])]
        axis.plot(
            part["strength"], part[y], DASHES[hows.index(last["how"]) % len(DASHES)], marker=mark,
            color=shade, ms=4, lw=1.2, clip_on=False,
        )  # fmt: skip
        if pd.notna(last[y]):
            labels.append(Label(last["strength"], last[y], name, shade, mark))
    log_axis(axis)
    share_axis(axis, label=words)
    axis.set_xlabel(label)
    label_right(axis, labels, height)
    return axis


def _name(line: dict[str, Any], hows: int) -> str:
    """Attack, floor, and how, where lines differ in it."""
    floor = "" if pd.isna(line["ssim_floor"]) else f", SSIM {line['ssim_floor']:g}"
    how = f", {line['how']}" if hows > 1 else ""
    return f"{line['attack']}{floor}{how}"
