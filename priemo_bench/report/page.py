"""The page of a run: README.md and index.html with the same content, beside tables and figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment

from priemo_bench.contracts.rows import Bounds, Rows
from priemo_bench.contracts.storage import write_text
from priemo_bench.judge.budget_use import ON_FLOOR
from priemo_bench.judge.kinship import COUNTED_RELATIONS
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.judge.rates import ENOUGH
from priemo_bench.report import grid
from priemo_bench.report.figures import save_figures
from priemo_bench.report.formatting import csv, markdown
from priemo_bench.report.tables import TABLES, sections

ONE_SIDED = (
    "Attacked by version 0.1, under its one-sided rule: a baseline could only be shrunk onto the "
    "floor, and its eps was chosen on few faces from a grid that ends below the cap, so that "
    "baselines left some of their budget unused. Tables, intervals and ranks are today's. The run "
    "has not been made again under the rule of 0.2, by which every attack uses its whole budget."
)
"""On pages of runs of version 0.1."""


def write_report(out: Path, kin: Iterable[str] = COUNTED_RELATIONS) -> None:
    """Write tables (csv), figures, README.md, index.html and spec.toml from results.parquet.

    Args:
        kin: the RELATIONS of the victims that the transfer rate without kin leaves out.

    Raises:
        PriemoError: a relation that is unknown, or no results.parquet in `out`.
    """
    rows = Rows.load(out / "results.parquet")
    tables = Tables(rows, kin)
    frames = {table.name: table.compute(tables) for table in TABLES}
    for table in TABLES:
        if table.csv:
            write_text(out / f"{table.name}.csv", csv(frames[table.name]))
    write_text(out / "spec.toml", rows.facts["spec"])
    captions = save_figures(tables, out / "figures")
    if (out / "figures" / grid.FILE).is_file():
        captions[grid.FILE] = grid.CAPTION
    context: dict[str, object] = {
        "facts": rows.facts,
        "old": one_sided(rows.facts),
        "budget": _in_words(rows.bounds),
        "kin": _kin(rows.facts, tables.rates.kin),
        "enough": ENOUGH,
        "on_floor": f"{100 * ON_FLOOR:g} %",
        "sections": sections(TABLES, frames),
        "figures": [(f"figures/{name}", caption) for name, caption in captions.items()],
    }
    write_text(out / "README.md", _render("page.md.jinja", context, escape=False))
    write_text(out / "index.html", _render("page.html.jinja", context, escape=True))


def is_written(out: Path) -> bool:
    """Whether the page, which is written last, is as new as the rows."""
    rows, page = out / "results.parquet", out / "index.html"
    return rows.is_file() and page.is_file() and page.stat().st_mtime >= rows.stat().st_mtime


def _in_words(bounds: Bounds) -> str:
    floor, psnr, eps = bounds
    floors = []
    if floor:
        floors.append(f"SSIM of at least {floor:g} (with and without its border)")
    if psnr:
        floors.append(f"{'in a table of its own ' if floor else ''}PSNR of at least {psnr:g} dB")
    parts = [" or ".join(floors)] if floors else []
    if eps:
        parts.append(f"no pixel changed by more than {255 * eps:g} grey levels of 255")
    return " and ".join(parts) or "no bound"


def one_sided(facts: Mapping[str, object]) -> str:
    """For a run of version 0.1, what its rule for the baselines was; "" for others."""
    versions = facts.get("versions")
    version = str(versions.get("priemo-bench", "")) if isinstance(versions, dict) else ""
    return ONE_SIDED if version.startswith("0.1") else ""


def _kin(facts: Mapping[str, object], relations: tuple[str, ...]) -> str:
    if "kin" not in facts:
        return "not known for this run, which was made before cards declared them"
    return f"victims that share {' or '.join(relations)}" if relations else "none"


def _render(name: str, context: Mapping[str, object], escape: bool) -> str:
    text = (files("priemo_bench.report") / name).read_text("utf-8")
    environment = Environment(autoescape=escape, trim_blocks=True, lstrip_blocks=True)
    environment.filters["markdown"] = markdown
    return environment.from_string(text).render(context) + "\n"
