"""Protection against the SSIM floor: a line with a band for each method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from priemo_bench.contracts.budgets import EQUAL, EQUAL_PSNR
from priemo_bench.report.formatting import lines_of
from priemo_bench.report.palette import colour, marker
from priemo_bench.report.plots.labels import Label, height_for, label_right, width_for
from priemo_bench.report.plots.methods import named
from priemo_bench.report.plots.style import canvas, room, share_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

DASHES = {"white-box": "-", "no-model": ":", "transfer": "--"}
"""By threat model."""


def curve(table: pd.DataFrame, *, measure: str = EQUAL, figure: FigureBase | None = None) -> Axes:
    """Protection rate of each method against the floor that every published image keeps.

    The band is the 95 % interval, in the colour of its line; the line is dashed for victims that
    the attack never saw, and dotted for attacks without a surrogate.

    Args:
        table: of one data set, with the columns of curves.csv. measure: "equal" for SSIM floors,
            "equal-psnr" for PSNR floors.
    """
    own = table[(table["measure"] == measure) & table["protection_rate"].notna()]
    floor = "psnr_floor" if measure == EQUAL_PSNR else "ssim_floor"
    loss = 10 ** (-own[floor] / 10) if measure == EQUAL_PSNR else 1 - own[floor]
    own = named(own.assign(loss=loss))
    groups = list(own.groupby("name", sort=False))
    height = height_for(len(groups), 3.2)
    right = width_for(str(name) for name, _ in groups) + 0.15
    size = 4.6 + right, height + 0.85
    base = canvas(figure, *size)
    axis = base.subplots()
    room(base, size, left=0.5, right=right, bottom=0.5, top=0.3)
    labels = []
    for name, part in groups:
        part = part.sort_values("loss")
        last = lines_of(part)[-1]
        attack = str(last["attack"])
        shade = colour(attack, str(last.get("family", "")))
        axis.fill_between(
            part["loss"], part["protection_low"], part["protection_high"], color=shade, alpha=0.13,
            lw=0,
        )  # fmt: skip
        axis.plot(
            part["loss"], part["protection_rate"], DASHES.get(str(last["threat"]), "-"),
            marker=marker(attack), color=shade, ms=4.5, lw=1.3, mec="white", mew=0.5,
            clip_on=False,
        )  # fmt: skip
        labels.append(
            Label(last["loss"], last["protection_rate"], str(name), shade, marker(attack))
        )
    _floors(axis, own, floor)
    share_axis(axis)
    label_right(axis, labels, height)
    return axis


def _floors(axis: Axes, own: pd.DataFrame, floor: str) -> None:
    """The floors as ticks of an axis of the logarithm of the allowed loss."""
    ticks = own.drop_duplicates("loss").sort_values("loss")
    axis.set_xscale("log")
    axis.minorticks_off()
    axis.set_xticks(ticks["loss"], [f"{value:g}" for value in ticks[floor]])
    word = "PSNR floor, dB" if floor == "psnr_floor" else "SSIM floor"
    axis.set_xlabel(f"{word} (spaced by the logarithm of the allowed loss)")
