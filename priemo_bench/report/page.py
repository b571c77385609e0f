"""The page of a run: README.md and index.html with the same content, beside tables and figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment

from priemo_bench.contracts.rows import Rows
from priemo_bench.contracts.storage import write_file, write_text
from priemo_bench.judge.kinship import COUNTED_RELATIONS
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.report import tables as shown
from priemo_bench.report.figures import save_figures

CAPTIONS = {
    "quality": "Protection against quality: each point is a method, pooled over surrogates.",
    "transfer": "Protection % by surrogate (row) and victim (column), equal SSIM.",
    "defenses": "Protection % at equal SSIM when the victim defends itself.",
    "grid": "One face per emotion; below the originals, for each attack its perturbation "
    "(amplified 20 times) and the published image. Made-up persons.",
}


METHODS = {
    "equal": (
        "Equal quality: one SSIM floor",
        "Each method pooled over its surrogates. Rows of one rank: no two of them differ by the "
        "paired test on the images and victims they share (of the resampled table statistic, or "
        "exact where fewer than ten clusters differ; Holm's correction over all pairs of a threat "
        "model). Not ranked: rows that do not keep the budget, and rows that look into a model "
        "and leave more than 5 % of it unused (unless with all of it used they protect less).",
    ),
    "equal-psnr": (
        "Equal energy: one PSNR floor",
        "The same methods landed on a PSNR floor instead: each image has the same mean squared "
        "error. Ranks as above.",
    ),
    "conventional": (
        "Usual settings",
        "The same methods at the settings they are usually run with.",
    ),
}
"""Heading and text of the tables of methods, by budget."""


ONE_SIDED = (
    "Attacked by version 0.1, under its one-sided rule: a baseline could only be shrunk onto the "
    "floor, and its eps was chosen on few faces from a grid that ends below the cap, so that "
    "baselines left some of their budget unused. Tables, intervals and ranks are today's. The run "
    "has not been made again under the rule of 0.2, by which every attack uses its whole budget."
)


@dataclass(frozen=True)
class Section:
    """A heading, a sentence, and a table or a figure below it."""

    title: str
    text: str = ""
    table: pd.DataFrame | None = None
    figure: str = ""

    @property
    def markdown(self) -> str:
        """The table in Markdown."""
        return "" if self.table is None else shown.markdown(self.table)


def write_report(out: Path, kin: Iterable[str] = COUNTED_RELATIONS) -> None:
    """Write tables (csv), figures, README.md, index.html and spec.toml from results.parquet.

    Args:
        kin: `RELATIONS` of the victims that the transfer rate without kin leaves out.

    Raises:
        PriemoError: one that is unknown.
    """
    rows = Rows.load(out / "results.parquet")
    tables = Tables(rows, kin)
    for name in ("leaderboard", "methods", "transfer", "defenses", "failures"):
        _csv(getattr(tables, name)(), out / f"{name}.csv")
    write_text(out / "spec.toml", rows.facts["spec"])
    names = save_figures(tables, out / "figures")
    if (out / "figures" / "grid.png").is_file():
        names.append("grid.png")
    context = {
        "facts": rows.facts, "sections": sections(tables), "figures": _figures(names),
        "budget": _budget(rows.facts), "kin": _kin(rows.facts, tables.rates.kin),
        "old": one_sided(rows.facts),
    }  # fmt: skip
    write_text(out / "README.md", _render("page.md.jinja", context, escape=False))
    write_text(out / "index.html", _render("page.html.jinja", context, escape=True))


def is_written(out: Path) -> bool:
    """Whether the page, which is written last, is as new as the rows."""
    rows, page = out / "results.parquet", out / "index.html"
    return rows.is_file() and page.is_file() and page.stat().st_mtime >= rows.stat().st_mtime


def sections(tables: Tables) -> list[Section]:
    """What the page shows, data set by data set."""
    methods, board = tables.methods(), tables.leaderboard()
    several = board["dataset"].nunique() > 1
    found: list[Section] = []
    for dataset in board["dataset"].unique():
        at = f" on {dataset}" if several else ""
        own = methods[methods["dataset"] == dataset] if len(methods) else methods
        found += _of_methods(own, at)
        if (metrics := tables.rows.further_metrics) and len(own):
            text = (
                "Means over the published images; protection of the victims looked into, or of all."
            )
            found.append(Section(f"Usability{at}", text, shown.usability(own, metrics)))
        rows = board[(board["dataset"] == dataset) & (board["status"] != "failed")]
        found.append(
            Section(
                f"Every surrogate and target{at}",
                "The rows of leaderboard.csv under an equal budget; ranks stand within budget, "
                "surrogate and target. *eps*: at which the perturbation was computed, in grey "
                "levels, before it landed on the budget. *Seeds (sd)*: standard deviation of the "
                "rate over seeds.",
                shown.surrogates(rows[rows["budget"] != "conventional"]),
            )
        )
        defended = tables.defended_methods()
        if len(defended) and len(defended := defended[defended["dataset"] == dataset]):
            text = (
                "Protection % pooled over surrogates, of the n images that a victim reads "
                "correctly when it defends itself before it reads a clean one (*clean*: its "
                "accuracy then, %)."
            )
            found.append(Section(f"Defenses{at}", text, shown.defenses(defended)))
    found.append(Section("Clean accuracy of the victims, %", "", shown.victims(tables.victims())))
    if len(failed := tables.failures()):
        text = f"{len(failed)} cells failed; the rest went on."
        found.append(Section("Failures", text, shown.failures(failed)))
    return found


def _of_methods(own: pd.DataFrame, at: str) -> list[Section]:
    if own.empty:
        return []
    found = []
    for budget, (title, text) in METHODS.items():
        part = own[(own["budget"] == budget) & ~own["targeted"]]
        if len(part):
            found.append(Section(f"{title}{at}", text, shown.methods(part)))
    aimed = own[own["targeted"]]
    if len(aimed):
        text = "Mean over the targets, of the faces neither labelled nor read as the target."
        found.append(Section(f"Targeted{at}", text, shown.targeted(aimed)))
    return found


def _figures(names: list[str]) -> list[tuple[str, str]]:
    return [
        (f"figures/{name}", CAPTIONS[name.removesuffix(".png").split("-")[0]]) for name in names
    ]


def _budget(facts: dict[str, Any]) -> str:
    floor, psnr, eps = facts["ssim_floor"], facts.get("psnr_floor"), facts["eps"]
    floors = [f"SSIM of at least {floor:g} (with and without its border)"] if floor else []
    floors += [f"{'in a table of its own ' if floor else ''}PSNR of at least {psnr:g} dB"] if psnr \
        else []  # fmt: skip
    parts = [" or ".join(floors)] if floors else []
    parts += [f"no pixel changed by more than {255 * eps:g} grey levels of 255"] if eps else []
    return " and ".join(parts) or "no bound"


def one_sided(facts: dict[str, Any]) -> str:
    """Where a run is of before 0.2: what its rule for the baselines was; "" for others."""
    version = str(facts.get("versions", {}).get("priemo-bench", ""))
    return ONE_SIDED if version.startswith("0.1") else ""


def _kin(facts: dict[str, Any], kinds: tuple[str, ...]) -> str:
    if "kin" not in facts:
        return "not known for this run, which was made before cards told kin"
    return f"victims that share {' or '.join(kinds)}" if kinds else "nobody"


def _render(name: str, context: dict[str, Any], escape: bool) -> str:
    text = (files("priemo_bench.report") / name).read_text("utf-8")
    template = Environment(autoescape=escape, trim_blocks=True, lstrip_blocks=True)
    return template.from_string(text).render(context) + "\n"


def _csv(table: pd.DataFrame, path: Path) -> None:
    text = table.to_csv(index=False, float_format="%.6g")
    write_file(path, lambda file: file.write(text.encode()))
