"""The page of a run: README.md and index.html with the same content, beside tables and figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from priemo_bench.contracts.rows import Bounds, Rows
from priemo_bench.contracts.shapes import Shape
from priemo_bench.contracts.storage import write_text
from priemo_bench.judge.budget_use import ON_FLOOR
from priemo_bench.judge.kinship import COUNTED_RELATIONS
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.judge.rates import ENOUGH
from priemo_bench.report import grid
from priemo_bench.report.figures import save_figures
from priemo_bench.report.files import FIGURES, PAGE, README, ROWS, SPEC
from priemo_bench.report.formatting import (
    code_block,
    code_span,
    csv,
    inline,
    lines_of,
    markdown,
)
from priemo_bench.report.tables import TABLES
from priemo_bench.report.views import sections

ONE_SIDED = (
    "Attacked by version 0.1, under its one-sided rule: a baseline could only be shrunk onto the "
    "floor, and its eps was chosen on few faces from a grid that ends below the cap, so that "
    "baselines left some of their budget unused. Tables, intervals and ranks are today's. The run "
    "has not been made again under the rule of 0.2, by which every attack uses its whole budget."
)
"""On pages of runs of version 0.1."""
FACTS: Shape = {
    "name": str, "command": str, "spec": str, "seeds": [int], "select_limit?": (int, None),
    "versions": {str: str},
    "machine": {"cpus": (int, None), "threads": int, "device": str, "system": str},
    "data": {
        str: {
            "test": int, "of": int, "fit": int, "persons": (int, None), "counts": {str: int},
            "shape": [int], "notes": [str],
        }
    },
}  # fmt: skip
"""What a page needs of the facts beside what tables do."""


def write_report(out: Path, kin: Iterable[str] = COUNTED_RELATIONS) -> None:
    """Write tables (csv), figures, README.md, index.html and spec.toml from results.parquet.

    Args:
        kin: the RELATIONS of the victims that the transfer rate without kin leaves out.

    Raises:
        PriemoError: a relation that is unknown, or no usable results.parquet in `out`.
    """
    rows = Rows.load(out / ROWS)
    rows.require(FACTS)
    tables = Tables(rows, kin)
    frames = {table.name: table.compute(tables) for table in TABLES}
    for table in TABLES:
        if table.csv:
            write_text(out / f"{table.name}.csv", csv(frames[table.name]))
    write_text(out / SPEC, rows.facts["spec"])
    captions = save_figures(tables, out / FIGURES)
    if (out / FIGURES / grid.FILE).is_file():
        captions[grid.FILE] = grid.CAPTION
    lines = {table.name: lines_of(frames[table.name]) for table in TABLES if table.views}
    context: dict[str, object] = {
        "facts": rows.facts,
        "old": one_sided(rows.facts),
        "code": rows.facts.get("code", {}).get("state"),
        "budget": _in_words(rows.bounds),
        "kin": _kin(rows.facts, tables.rates.kin),
        "enough": ENOUGH,
        "on_floor": f"{100 * ON_FLOOR:g} %",
        "sections": sections([(v, lines[table.name]) for table in TABLES for v in table.views]),
        "figures": [(f"{FIGURES}/{name}", caption) for name, caption in captions.items()],
    }
    write_text(out / README, _render("page.md.jinja", context, escape=False))
    write_text(out / PAGE, _render("page.html.jinja", context, escape=True))


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
    environment = Environment(
        autoescape=escape, trim_blocks=True, lstrip_blocks=True, finalize=None if escape else _safe
    )
    environment.filters["markdown"] = lambda table: Markup(markdown(table))
    environment.filters["code_block"] = lambda text: Markup(code_block(text))
    environment.filters["code_span"] = lambda text: Markup(code_span(text))
    return environment.from_string(text).render(context) + "\n"


def _safe(value: object) -> object:
    """What Markdown prints: texts of a run are escaped, what is Markdown already is not."""
    return value if isinstance(value, Markup) else inline(value)
