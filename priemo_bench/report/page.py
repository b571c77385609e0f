"""The page of a run: README.md and index.html with the same content, beside tables and figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment

from priemo_bench.kinship import COUNTED
from priemo_bench.leaderboard import Tables
from priemo_bench.report import tables as shown
from priemo_bench.report.figures import save_figures
from priemo_bench.rows import Rows
from priemo_bench.store import write, write_text

CAPTIONS = {
    "quality": "Protection against quality: each point is a method, pooled over surrogates.",
    "transfer": "Protection % by surrogate (row) and victim (column), equal budget.",
    "defenses": "Protection % of the images of the equal budget when the victim defends itself.",
    "grid": "One face per emotion; below the originals, for each attack its perturbation "
    "(amplified 20 times) and the published image. Made-up persons.",
}


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


def write_report(out: Path, kin: Iterable[str] = COUNTED) -> None:
    """Write tables (csv), figures, README.md, index.html and spec.toml from results.parquet.

    Args:
        kin: kinds of `priemo_bench.kinship.KINDS` that the transfer rate without kin leaves out.

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
                "The rows of leaderboard.csv under the equal budget.",
                shown.surrogates(rows[rows["budget"] == "equal"]),
            )
        )
        defended = tables.defenses()
        defended = defended[defended["dataset"] == dataset]
        if len(defended):
            text = "Protection %, mean over surrogates; a victim defends itself before it reads."
            found.append(Section(f"Defenses{at}", text, shown.defenses(defended)))
    found.append(Section("Clean accuracy of the victims, %", "", shown.victims(tables.victims())))
    if len(failed := tables.failures()):
        text = f"{len(failed)} cells failed; the rest went on."
        found.append(Section("Failures", text, shown.failures(failed)))
    return found


def _of_methods(own: pd.DataFrame, at: str) -> list[Section]:
    if own.empty:
        return []
    texts = {
        "equal": "Each method pooled over its surrogates; equal rank: the paired interval of the "
        "difference includes zero. Not within the budget: shown, not ranked.",
        "conventional": "The same methods at the settings they are usually run with.",
    }
    found = []
    for budget, text in texts.items():
        part = own[(own["budget"] == budget) & ~own["targeted"]]
        if len(part):
            title = f"{budget.capitalize()} {'quality' if budget == 'equal' else 'settings'}{at}"
            found.append(Section(title, text, shown.methods(part)))
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
    floor, eps = facts["ssim_floor"], facts["eps"]
    parts = [f"SSIM of at least {floor:g} (with and without its border)"] if floor else []
    parts += [f"no pixel changed by more than {255 * eps:g} grey levels of 255"] if eps else []
    return " and ".join(parts) or "no bound"


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
    write(path, lambda file: file.write(text.encode()))
