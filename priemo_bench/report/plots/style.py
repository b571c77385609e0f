"""The look of all figures, and the files that one is written to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from priemo_bench.contracts.storage import write_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase

DPI = 300
SMALL = 6.5
"""Points, of labels inside a figure."""
RATE = "protection rate"
ENDINGS = ("png", "svg", "pdf")
SHARE_AXIS = (-0.03, 1.03)
LETTER = 0.053
"""Inches of a letter of a label, about."""
_FIXED: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""Metadata, so that a figure drawn again is the same bytes."""


@contextmanager
def styled() -> Iterator[None]:
    """The look of all figures; other figures of the process keep theirs."""
    import matplotlib as mpl
    import seaborn as sns

    with mpl.rc_context():
        sns.set_theme(style="whitegrid", context="paper", palette="colorblind")
        mpl.rcParams.update(
            {
                "svg.hashsalt": "priemo-bench", "svg.fonttype": "none", "pdf.fonttype": 42,
                "axes.titlesize": 8.5, "axes.titlelocation": "left", "axes.labelsize": 8,
                "xtick.labelsize": 7, "ytick.labelsize": 7, "legend.fontsize": SMALL,
                "grid.linewidth": 0.6,
            }
        )  # fmt: skip
        yield


def canvas(figure: FigureBase | None, width: float, height: float) -> FigureBase:
    """What to draw into: a figure of one's own is resized, a SubFigure is left as it is.

    Args:
        width, height: in inches.
    """
    from matplotlib.figure import Figure

    if figure is None:
        import matplotlib.pyplot as plt

        figure = plt.figure()
    if isinstance(figure, Figure):
        figure.set_size_inches(width, height)
    return figure


def share_axis(axis: Axes, which: str = "y", label: str = RATE) -> None:
    """An axis of shares from 0 to 1."""
    axis.set(**{f"{which}lim": SHARE_AXIS, f"{which}label": label})


def log_axis(axis: Axes, which: str = "x") -> None:
    """A logarithmic axis with plain numbers: 0.01, 0.1 ..., and 2 and 5 between where few fit."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set(**{f"{which}scale": "log"})
    own = axis.xaxis if which == "x" else axis.yaxis
    low, high = axis.get_xlim() if which == "x" else axis.get_ylim()
    steps = (1, 2, 5) if high < 300 * low else (1,)
    own.set_major_locator(LogLocator(subs=steps, numticks=30))
    own.set_minor_locator(NullLocator())
    own.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def room(base: FigureBase, size: tuple[float, float], *, left: float, right: float, bottom: float,
         top: float, **between: float) -> None:  # fmt: skip
    """Margins of the axes in inches; `size` is that of the figure."""
    width, height = size
    base.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height,
                         **between)  # fmt: skip


def save(figure: Figure, path: Path, stamp: str = "") -> None:
    """Write a figure as `path`.png, .svg and .pdf: the same bytes for the same figure.

    Args:
        stamp: kept in the PNG file, for `stamp_of`.
    """
    files = files_of(path)
    for kind, fixed in _FIXED.items():
        write_file(files[kind], partial(figure.savefig, format=kind, metadata=fixed))
    write_file(files["png"], partial(_save_png, figure, stamp))


def _save_png(figure: Figure, stamp: str, file: IO[bytes]) -> None:
    """As PNG of 256 colours, none of which is off by more than is seen: a third of the bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    figure.set_dpi(DPI)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    few = picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    text = PngInfo()
    text.add_text("Comment", stamp)
    few.save(file, "PNG", dpi=(DPI, DPI), pnginfo=text)


def files_of(path: Path) -> dict[str, Path]:
    """The files of a figure by their ending, with the data that it shows as csv."""
    return {ending: path.with_name(f"{path.name}.{ending}") for ending in (*ENDINGS, "csv")}


def stamp_of(path: Path) -> str:
    """The stamp of a figure that is there with all its files; "" for another."""
    from PIL import Image

    files = files_of(path)
    if not all(own.is_file() and own.stat().st_size for own in files.values()):
        return ""
    try:
        with Image.open(files["png"]) as picture:
            return str(picture.info.get("Comment", ""))
    except OSError:
        return ""
