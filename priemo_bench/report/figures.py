"""The figures of a report, each in one place: its entry in FIGURES.

An entry takes its lines from the tables of a run, and gives them to one of `report.plots`; the
lines are written beside the figure as csv. Seaborn is slow to import: only what draws imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from priemo_bench.contracts.budgets import CONVENTIONAL, EQUAL, EQUAL_PSNR, kind
from priemo_bench.contracts.storage import write_text
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.report.files import file_names
from priemo_bench.report.formatting import csv, lines_of
from priemo_bench.report.plots.curve import curve
from priemo_bench.report.plots.filters import filters
from priemo_bench.report.plots.matrices import defenses, transfer
from priemo_bench.report.plots.methods import forest, quality, speed
from priemo_bench.report.plots.style import files_of, save, stamp_of, styled
from priemo_bench.report.tables import curve_points

KEPT = [
    "attack", "family", "scope", "scale", "surrogate", "threat", "budget", "measure", "area",
    "ssim_floor", "psnr_floor", "victim", "defense", "kind", "x", "rank", "protection_rate",
    "protection_low", "protection_high", "ssim_drop", "ms_per_image", "clean_accuracy", "n",
]  # fmt: skip
"""Columns that figures draw, and their csv files have."""
FEWEST = 3
"""Methods of a scatter plot."""


@dataclass(frozen=True)
class ReportFigure:
    """A figure of a report.

    Attributes:
        name: of its files, `name`-`dataset`.png, .svg, .pdf and .csv. caption: on the page.
        lines: from the tables of a run and a data set to the lines that it shows; none for no
            figure. draw: from these to Axes, or an array of them.
    """

    name: str
    caption: str
    lines: Callable[[Tables, str], pd.DataFrame]
    draw: Callable[..., Any]


def save_figures(tables: Tables, folder: Path) -> dict[str, str]:
    """Draw FIGURES of every data set; caption of each PNG file in `folder`, in reading order."""
    parts = file_names(dict.fromkeys(names["dataset"] for names in tables.predictions.names))
    wanted = [
        (own, f"{own.name}-{part}", lines)
        for dataset, part in parts.items()
        for own in FIGURES
        if len(lines := own.lines(tables, dataset))
    ]
    draw_all([(own.draw, lines, folder / name) for own, name, lines in wanted])
    return {f"{name}.png": own.caption for own, name, _ in wanted}


def draw_all(wanted: Iterable[tuple[Callable[..., Any], pd.DataFrame, Path]]) -> None:
    """Draw lines into `path`.png, .svg and .pdf, and write them to `path`.csv.

    What is there already, drawn by the same code from the same lines, is left as it is.
    """
    drawn_by = _code()
    stale = []
    for draw, lines, path in wanted:
        text = csv(lines)
        stamp = sha256(f"{drawn_by} {draw.__name__}\n{text}".encode()).hexdigest()[:20]
        if stamp_of(path) != stamp:
            stale.append((draw, lines, path, text, stamp))
    if not stale:
        return
    from matplotlib.figure import Figure

    with styled():
        for draw, lines, path, text, stamp in stale:
            figure = Figure()
            draw(lines, figure=figure)
            write_text(files_of(path)["csv"], text)
            save(figure, path, stamp)


def _code() -> str:
    """Digest of what draws: sources of `report.plots`, palette and formatting, and libraries."""
    folder = Path(__file__).parent
    sources = [*sorted((folder / "plots").glob("*.py")), folder / "palette.py",
               folder / "formatting.py"]  # fmt: skip
    versions = [f"{name} {version(name)}" for name in ("matplotlib", "seaborn")]
    texts = [own.read_text("utf-8") for own in sources]
    return sha256("\n".join([*versions, *texts]).encode()).hexdigest()


def _shown(table: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The lines of a data set that have a rate, with the columns of KEPT."""
    own = table[(table["dataset"] == dataset) & table["protection_rate"].notna()]
    return own[[name for name in KEPT if name in own]].reset_index(drop=True)


def _methods(tables: Tables, dataset: str) -> pd.DataFrame:
    """Untargeted methods, without perturbations that are zero at their one strength."""
    table = tables.methods()
    zero = (table["scale"] == "one") & (table["untouched"] == 1)
    return _shown(table[~table["targeted"].astype(bool) & ~zero], dataset)


def _enough(table: pd.DataFrame) -> pd.DataFrame:
    """All lines, or none where there are too few methods for a scatter plot to say anything."""
    return table if table["attack"].nunique() >= FEWEST else table.iloc[:0]


def _first_budget(table: pd.DataFrame) -> pd.DataFrame:
    """Lines of the first SSIM floor; where there is none, of the first PSNR floor."""
    budgets = list(dict.fromkeys(table["budget"].astype(str)))
    first = [b for k in (EQUAL, EQUAL_PSNR) for b in budgets if kind(b) == k]
    return table[table["budget"] == (first[0] if first else "")].reset_index(drop=True)


def leaderboard_lines(tables: Tables, dataset: str) -> pd.DataFrame:
    """Methods under the equal budgets: SSIM floors, else PSNR floors."""
    table = _methods(tables, dataset)
    kinds = table["budget"].astype(str).map(kind)
    return table[kinds == (EQUAL if (kinds == EQUAL).any() else EQUAL_PSNR)]


def curve_lines(tables: Tables, dataset: str) -> pd.DataFrame:
    """Points of methods with two SSIM floors or more, largest area first."""
    table = curve_points(tables)
    table = _shown(table[~table["targeted"].astype(bool)], dataset)
    own = table[table["measure"] == EQUAL]
    return own[own.groupby(["attack", "scope", "scale", "threat"])["budget"].transform("size") > 1]


def quality_lines(tables: Tables, dataset: str) -> pd.DataFrame:
    """Methods at the settings they are usually run with, whose quality differs."""
    table = _methods(tables, dataset)
    return _enough(table[table["budget"] == CONVENTIONAL])


def speed_lines(tables: Tables, dataset: str) -> pd.DataFrame:
    """`leaderboard_lines` whose time is known."""
    return _enough(leaderboard_lines(tables, dataset).dropna(subset=["ms_per_image"]))


def transfer_lines(tables: Tables, dataset: str) -> pd.DataFrame:
    """Untargeted rows of the first floor, of attacks with several surrogates."""
    table = tables.transfer()
    own = table[(table["target"] == "-") & (table["surrogate"] != "-") & (table["scale"] != "one")]
    own = _first_budget(_shown(own, dataset))
    return own[own.groupby("attack", observed=True)["surrogate"].transform("nunique") > 1]


def defense_lines(tables: Tables, dataset: str) -> pd.DataFrame:
    """Methods of the first floor under each defense, pooled over surrogates."""
    return _first_budget(_shown(tables.defended_methods(), dataset))


def filter_lines(tables: Tables, dataset: str) -> pd.DataFrame:
    """`defense_lines` of filters that name their family and strength, where it has several."""
    described = tables.rows.facts.get("defenses") or {}
    lines = [
        {**line, "kind": own["family"], "x": own["strength"]}
        for line in lines_of(defense_lines(tables, dataset))
        if (own := described.get(line["defense"])) and own.get("strength") is not None
    ]
    table = pd.DataFrame(lines, columns=KEPT)
    return table[table.groupby("kind")["x"].transform("nunique") > 1]


FIGURES = (
    ReportFigure(
        "leaderboard",
        "Protection rate and 95 % interval of each method, pooled over surrogates, under every "
        "SSIM floor of the run; an empty marker is not ranked.",
        leaderboard_lines,
        forest,
    ),
    ReportFigure(
        "curve",
        "Protection rate against the SSIM floor that every published image keeps; bands are 95 % "
        "intervals, dashed lines victims that the attack never saw.",
        curve_lines,
        curve,
    ),
    ReportFigure(
        "speed",
        "Protection rate against the time to protect an image, under every SSIM floor of the run.",
        speed_lines,
        speed,
    ),
    ReportFigure(
        "quality",
        "Protection rate against the loss of SSIM, at the settings methods are usually run with.",
        quality_lines,
        quality,
    ),
    ReportFigure(
        "transfer",
        "Protection % by surrogate (row) and victim (column) under the first floor; a frame marks "
        "victims that the attack looked into.",
        transfer_lines,
        transfer,
    ),
    ReportFigure(
        "defenses",
        "Protection % under the first floor when the victim defends itself.",
        defense_lines,
        defenses,
    ),
    ReportFigure(
        "filters",
        "Protection rate under the first floor against the strength of each family of filters.",
        filter_lines,
        filters,
    ),
)  # fmt: skip
"""All figures of a report, in the order of the page."""
