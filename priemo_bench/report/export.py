r"""Tables for other programs and for papers: csv, parquet, JSON, Markdown, LaTeX, HTML.

csv, parquet and JSON have every column as it is computed (shares from 0 to 1); Markdown, LaTeX and
HTML have what a reader sees (headings with a % are in per cent), of methods and of the leaderboard
the columns of SHORT. JSON follows `table.schema.json`, beside this file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from io import BytesIO
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from priemo_bench.contracts.storage import write_file, write_text
from priemo_bench.errors import PriemoError
from priemo_bench.judge.glossary import COUNT, TEXT, YES, Column, column
from priemo_bench.registry import unknown
from priemo_bench.report.columns import FORMATTERS, behind
from priemo_bench.report.formatting import (
    Line,
    TextTable,
    csv,
    formatted,
    lines_of,
    markdown,
    one_line,
    percent,
)
from priemo_bench.report.formatting import unknown as is_unknown

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = "table.schema.json"
SCHEMA_ID = "urn:priemo-bench:table:1"
SHORT = {
    "methods": (
        "rank", "budget", "attack", "scope", "threat model", "protection %", "survival %",
        "transfer %", "SSIM", "PSNR", "ms/image",
    ),
    "leaderboard": (
        "rank", "budget", "attack", "surrogate", "target", "threat model", "protection %",
        "targeted %", "transfer %", "SSIM", "PSNR", "ms/image",
    ),
}  # fmt: skip
"""What a reader sees of a table; what is empty in all lines, or the only budget, is left out."""
NOTES = {
    "bold": "the best of its budget and threat model",
    "tie": "does not differ from the best by the paired test (rank 1)",
}
TIE = "="
"""Beside the rate of a row of rank 1 that is not the best."""


def short_table(table: pd.DataFrame, name: str) -> tuple[TextTable, list[dict[str, Any]]]:
    """A table as a reader sees it, and its lines: the columns of SHORT, or all by their headings.

    Args:
        name: of the table, as in `judge.columns.TABLES`.
    """
    if name in SHORT:
        lines = lines_of(_ordered(table))
        texts = formatted(lines, {h: FORMATTERS[h] for h in SHORT[name]})
        budgets = {line["budget"] for line in lines}
        kept = [
            heading
            for k, heading in enumerate(texts.headings)
            if any(row[k] != "-" for row in texts.rows)
            and (heading != "budget" or len(budgets) > 1)
        ]
        return texts.only(kept), lines
    lines = lines_of(table)
    columns = {own.heading: own for own in (column(c, name) for c in table.columns)}
    return formatted(lines, {h: _writer(own) for h, own in columns.items()}), lines


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Best first within data set, target, budget and threat model."""
    first = {name: k for k, name in enumerate(dict.fromkeys(table["budget"].astype(str)))}
    by = [n for n in ("dataset", "targeted", "target", "budget", "threat") if n in table]
    order = [n not in ("threat",) for n in by]
    return table.sort_values(
        [*by, "protection_rate"], ascending=[*order, False], kind="stable",
        key=lambda own: own.astype(str).map(first) if own.name == "budget" else own,
    )  # fmt: skip


def _writer(own: Column) -> Callable[[Line], str]:
    """How one column is written: a share with a heading in % as per cent."""

    def text(line: Line) -> str:
        value = line[own.name]
        if is_unknown(value):
            return "-"
        if "share" in own.unit and own.heading.endswith("%"):
            return percent(value)
        if own.unit in (TEXT, YES):
            return str(value)
        return f"{value:.0f}" if own.unit == COUNT and float(value).is_integer() else f"{value:.4g}"

    return text


def as_json(table: pd.DataFrame, name: str, run: Mapping[str, Any] | None = None) -> str:
    """A table as JSON of `table.schema.json`: numbers that are unknown or infinite are null.

    Args:
        name: of the table. run: name, command and version of the run, where they are known.
    """
    columns = [column(str(c), name) for c in table.columns]
    found = {
        "$schema": SCHEMA_ID,
        "table": name,
        "run": dict(run or {}),
        "columns": [
            {
                "name": own.name, "heading": own.heading, "text": own.text, "unit": own.unit,
                "direction": own.direction,
            }
            for own in columns
        ],
        "rows": [{k: _plain(v) for k, v in line.items()} for line in lines_of(table)],
    }  # fmt: skip
    return json.dumps(found, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def schema() -> dict[str, Any]:
    """The JSON schema of `as_json`."""
    found: dict[str, Any] = json.loads((files("priemo_bench.report") / SCHEMA).read_text("utf-8"))
    return found


def _plain(value: Any) -> str | int | float | bool | None:
    """As JSON has it, six digits of a fraction."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return None if not isfinite(value) else float(f"{value:.6g}")
    return value if isinstance(value, bool | int) else str(value)


def as_latex(table: pd.DataFrame, name: str) -> str:
    r"""A table in LaTeX with booktabs; of methods the best in bold and ties with it marked.

    Every text is escaped. Needs `\usepackage{booktabs}`.
    """
    texts, lines = short_table(table, name)
    marks = _marks(lines) if name in SHORT else {}
    at = list(texts.headings).index("protection %") if marks else -1
    rows = []
    for k, cells in enumerate(texts.rows):
        own = [_tex(cell) for cell in cells]
        if marks.get(k) == "bold":
            own[at] = rf"\textbf{{{own[at]}}}"
        elif marks.get(k) == "tie":
            own[at] += rf"\,$^{{{TIE}}}$"
        start = "{}" if own[0].startswith("[") else ""  # no argument of the row break before
        rows.append(f"  {start}{' & '.join(own)} \\\\")
    kinds = "".join("r" if _is_number(h) else "l" for h in texts.headings)
    head = " & ".join(map(_tex, texts.headings))
    notes = [f"% bold: {NOTES['bold']}; {TIE}: {NOTES['tie']}"] if marks else []
    return "\n".join(
        [
            f"% {name} of priemo-bench; needs \\usepackage{{booktabs}}", *notes,
            rf"\begin{{tabular}}{{{kinds}}}", r"  \toprule", f"  {head} \\\\", r"  \midrule", *rows,
            r"  \bottomrule", r"\end{tabular}", "",
        ]
    )  # fmt: skip


def _marks(lines: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """By number of a line: "bold" for the best of its data set, budget and threat model, "tie"
    for others of rank 1; the best is a ranked one."""
    best: dict[tuple[Any, ...], tuple[float, int]] = {}
    for k, line in enumerate(lines):
        rate = line["protection_rate"]
        if line["rank"] == 1 and rate > best.get(_group(line), (-1.0, 0))[0]:
            best[_group(line)] = rate, k
    found = {k: "tie" for k, line in enumerate(lines) if line["rank"] == 1}
    return found | {k: "bold" for _, k in best.values()}


def _group(line: Mapping[str, Any]) -> tuple[Any, ...]:
    names = ("dataset", "budget", "threat", "targeted", "target", "surrogate")
    return tuple(line.get(name) for name in names)


def _is_number(heading: str) -> bool:
    return any(own.unit not in (TEXT, YES) for own in behind(heading)[:1])


_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
}  # fmt: skip


def _tex(text: str) -> str:
    r"""A text that LaTeX prints as it is.

    Example:
        >>> print(_tex("50 % of a_b"), _tex("\\input{x}"))
        50 \% of a\_b \textbackslash{}input\{x\}
    """
    return "".join(_TEX.get(letter, letter) for letter in one_line(text))


def as_html(table: pd.DataFrame, name: str) -> str:
    """A table in HTML as a reader sees it, every text escaped, headings explained by a title."""
    texts, _ = short_table(table, name)
    heads = "".join(
        f'<th scope="col" title="{escape(_help(h, name))}">{escape(h)}</th>' for h in texts.headings
    )
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(one_line(cell))}</td>" for cell in row) + "</tr>\n"
        for row in texts.rows
    )
    return f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"


def _help(heading: str, name: str) -> str:
    own = next((o for o in behind(heading)), None)
    if own is None:
        return ""
    way = f"; {own.direction}" if own.direction else ""
    return f"{column(own.name, name).text}{way}"


def as_markdown(table: pd.DataFrame, name: str) -> str:
    """A table in Markdown as a reader sees it."""
    return markdown(short_table(table, name)[0]) + "\n"


FORMATS: dict[str, tuple[str, Callable[[pd.DataFrame, str], str]]] = {
    "csv": (".csv", lambda table, _: csv(table)),
    "json": (".json", as_json),
    "markdown": (".md", as_markdown),
    "latex": (".tex", as_latex),
    "html": (".html", as_html),
}
"""Name of a format, the suffix of its files, and what writes it; parquet is no text."""
PARQUET = "parquet"


def check_formats(names: Sequence[str]) -> Sequence[str]:
    """PriemoError for a format that does not exist."""
    for name in names:
        if name not in (*FORMATS, PARQUET):
            raise unknown("formats", name, (*FORMATS, PARQUET))
    return names


def write_tables(folder: Path, formats: Sequence[str], kin: Iterable[str]) -> None:
    """Write every table of a run beside its csv file, in further formats.

    Args:
        formats: of FORMATS, or "parquet". kin: as for `Tables`.

    Raises:
        PriemoError: no usable results.parquet in the folder.
    """
    from priemo_bench.contracts.rows import Rows
    from priemo_bench.judge.leaderboard import Tables
    from priemo_bench.report.files import ROWS
    from priemo_bench.report.tables import TABLES
    from priemo_bench.results import about

    tables = Tables(Rows.load(folder / ROWS), kin)
    for own in TABLES:
        if own.csv:
            frame = own.compute(tables)
            for name in formats:
                suffix = f".{PARQUET}" if name == PARQUET else FORMATS[name][0]
                save_table(frame, own.name, folder / f"{own.name}{suffix}", about(tables))


def save_table(table: pd.DataFrame, name: str, path: Path, run: Mapping[str, Any]) -> None:
    """Write a table in the format that the suffix of `path` asks for.

    Raises:
        PriemoError: a suffix that is none of .csv, .parquet, .json, .md, .tex and .html.
    """
    if path.suffix == f".{PARQUET}":
        buffer = BytesIO()
        table.to_parquet(buffer, index=False)
        write_file(path, lambda file: file.write(buffer.getvalue()))
        return
    if path.suffix == ".json":
        write_text(path, as_json(table, name, run))
        return
    for suffix, write in FORMATS.values():
        if path.suffix == suffix:
            write_text(path, write(table, name))
            return
    known = ", ".join([suffix for suffix, _ in FORMATS.values()] + [f".{PARQUET}"])
    raise PriemoError(f"{path} ends with none of {known}, which say the format of a table")
