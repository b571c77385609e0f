"""The page of a run: README.md, and index.html for reading, sorting and looking at faces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from priemo_bench.contracts.budgets import CONVENTIONAL
from priemo_bench.contracts.rows import Rows
from priemo_bench.contracts.shapes import Shape
from priemo_bench.contracts.storage import write_text
from priemo_bench.judge.budget_use import ON_FLOOR
from priemo_bench.judge.confusion import confusion
from priemo_bench.judge.flags import meaning
from priemo_bench.judge.glossary import Column
from priemo_bench.judge.kinship import COUNTED_RELATIONS
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.judge.rates import ENOUGH
from priemo_bench.report import grid
from priemo_bench.report.content import chart_data, other_tables
from priemo_bench.report.faces import AMPLIFIED, load_faces
from priemo_bench.report.figures import save_figures
from priemo_bench.report.files import FIGURES, PAGE, README, ROWS, SPEC, downloads, is_published
from priemo_bench.report.formatting import csv, lines_of
from priemo_bench.report.methods_table import in_words, methods_of, methods_table
from priemo_bench.report.palette import colour, shape
from priemo_bench.report.rendering import CHARTS, SCRIPTS, VEGA, as_html, as_markdown
from priemo_bench.report.tables import TABLES
from priemo_bench.report.views import sections
from priemo_bench.report.webtable import Row, WebTable, plain

ONE_SIDED = (
    "Attacked by version 0.1, under its one-sided rule: a baseline could only be shrunk onto the "
    "floor, and its eps was chosen on few faces from a grid that ends below the cap, so that "
    "baselines left some of their budget unused. Tables, intervals and ranks are today's. The run "
    "has not been made again under the rule of 0.2, by which every attack uses its whole budget."
)
"""On pages of runs of version 0.1."""
ON_THE_PAGE = {
    "methods", "usability", "leaderboard", "defended_methods", "filters", "victims", "failures",
    "code",
}  # fmt: skip
"""Of TABLES, those that index.html shows in a way of its own; others stand there as views."""
CITATION = """\
@software{{priemo_bench,
  title = {{priemo-bench: a benchmark of facial-emotion privacy}},
  version = {{{version}}},
  note = {{{run}}}
}}
@article{{zeng2023priemo,
  title = {{Pri-EMO: A universal perturbation method for privacy preserving
           facial emotion recognition}},
  author = {{Zeng, Yong and Zhang, Zhenyu and Liu, Jiale and Ma, Jianfeng and Liu, Zhihong}},
  journal = {{Journal of Information and Intelligence}},
  volume = {{1}}, number = {{4}}, pages = {{330--340}}, year = {{2023}},
  doi = {{10.1016/j.jiixd.2023.08.001}}
}}"""
"""In BibTeX, of a run."""
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
        "fewer": _fewer_seeds(rows),
        "budget": "; or ".join(
            in_words(name, own) for name, own in rows.budgets.items() if name != CONVENTIONAL
        ),
        "kin": _kin(rows.facts, tables.rates.kin),
        "enough": ENOUGH,
        "on_floor": f"{100 * ON_FLOOR:g} %",
    }
    shown = sections([(v, lines[table.name]) for table in TABLES for v in table.views])
    figures = [(f"{FIGURES}/{name}", caption) for name, caption in captions.items()]
    text = as_markdown("page.md.jinja", {**context, "sections": shown, "figures": figures})
    write_text(out / README, text)
    strange = [table for table in TABLES if table.name not in ON_THE_PAGE]
    further = sections([(v, lines[table.name]) for table in strange for v in table.views])
    own = [plain(f"further-{k}", part) for k, part in enumerate(further)]
    write_text(out / PAGE, _page(tables, out, context, own))


def _page(
    tables: Tables, out: Path, context: Mapping[str, object], further: Sequence[WebTable]
) -> str:
    """index.html."""
    methods = methods_of(tables)
    confused = {own.key: confusion(tables, list(own.rows)) for own in methods}
    shown = [methods_table(tables, methods), methods_table(tables, methods, targeted=True)]
    shown = [own for own in shown if own.groups]
    shown += [*other_tables(tables, methods, confused), *further]
    colours = {
        name: (colour(name, family), shape(name))
        for name, family in {str(m.line["attack"]): str(m.line["family"]) for m in methods}.items()
    }
    flags = {flag for own in shown for row in _rows(own) for flag in row.flags}
    page: dict[str, Any] = {
        **context,
        "tables": shown,
        "charts": bool(methods),
        "overview": is_published(out),
        "faces": load_faces(out, tables.rows.frame),
        "amplified": AMPLIFIED,
        "meanings": {flag: meaning(flag) for flag in flags},
        "digests": lines_of(tables.code()),
        "downloads": downloads(out),
        "glossary": _explained(shown),
        "citation": citation(tables.rows.facts),
    }
    return as_html(
        "web/page.html.jinja", page,
        scripts=(*SCRIPTS, *((VEGA, CHARTS) if methods else ())),
        data=chart_data(tables, methods, colours, confused) if methods else None,
    )  # fmt: skip


def _rows(table: WebTable) -> list[Row]:
    tops = [row for group in table.groups for row in (*group.rows, *group.folded)]
    return [own for row in tops for own in (row, *row.children)]


def _explained(tables: Sequence[WebTable]) -> list[Column]:
    """Every column behind a heading of these tables, once, as the glossary has it."""
    found = {c.name: c for own in tables for head in own.heads for c in head.columns}
    return list(found.values())


def citation(facts: Mapping[str, Any]) -> str:
    """How to cite a run, and the method that it is about, in BibTeX."""
    version = facts.get("versions", {}).get("priemo-bench", "")
    state = facts.get("code", {}).get("state", "not known")
    return CITATION.format(version=version, run=f"run {facts['name']}, code state {state}")


def one_sided(facts: Mapping[str, object]) -> str:
    """For a run of version 0.1, what its rule for the baselines was; "" for others."""
    versions = facts.get("versions")
    version = str(versions.get("priemo-bench", "")) if isinstance(versions, dict) else ""
    return ONE_SIDED if version.startswith("0.1") else ""


def _fewer_seeds(rows: Rows) -> list[str]:
    """Attacks with fewer seeds than the run: they draw nothing, or their spec says so."""
    seeds = rows.frame.groupby("attack", sort=False, observed=True)["seed"].nunique()
    return [str(attack) for attack, n in seeds.items() if n < len(rows.facts["seeds"])]


def _kin(facts: Mapping[str, object], relations: tuple[str, ...]) -> str:
    if "kin" not in facts:
        return "not known for this run, which was made before cards declared them"
    return f"victims that share {' or '.join(relations)}" if relations else "none"
