"""Pages from templates: texts of a run are escaped, and an HTML page can load nothing.

A page of HTML is one file: its style, scripts and data are in it, and its Content-Security-Policy
allows these scripts, by their SHA-256, and no request.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from priemo_bench.report.formatting import code_block, code_span, inline, markdown

HERE = "priemo_bench.report"
LARGEST = 2**20
STYLE, VEGA, CHARTS = "web/page.css", "web/vega.js", "web/charts.js"
SCRIPTS = ("web/tables.js", "web/details.js")
"""Of every page: tables, and explanations."""


def as_markdown(template: str, context: Mapping[str, object], package: str = HERE) -> str:
    """A template filled as Markdown.

    Args:
        template: its path in `package`.
    """
    return _environment(False).get_template(f"{package}:{template}").render(context) + "\n"


def as_html(
    template: str,
    context: Mapping[str, object],
    package: str = HERE,
    scripts: Iterable[str] = SCRIPTS,
    data: Mapping[str, Any] | None = None,
) -> str:
    """A template that extends `priemo_bench.report:web/base.html.jinja`, filled as HTML.

    Args:
        scripts: paths of the scripts of the page, in the order that they run in.
        data: what they read, as JSON.
    """
    sources = [Markup(asset(name)) for name in scripts]
    page = {
        **context,
        "style": Markup(asset(STYLE)),
        "scripts": sources,
        "policy": policy([asset(STYLE)], sources),
        "data": Markup(embedded(data)) if data is not None else None,
    }
    return _environment(True).get_template(f"{package}:{template}").render(page) + "\n"


def data_uri(path: Path) -> str:
    """A PNG as what stands in a page; "" where there is none, or one of more than LARGEST bytes."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
        return ""
    data = path.read_bytes()
    if not data.startswith(b"\x89PNG"):
        return ""
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


@lru_cache
def asset(name: str) -> str:
    """The text of a file of this package."""
    return (files(HERE) / name).read_text("utf-8")


def policy(styles: Iterable[str], scripts: Iterable[str]) -> str:
    """The Content-Security-Policy of a page that consists of these alone.

    Example:
        >>> policy([], ["1"]).split("; ")[1]
        "script-src 'sha256-a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s='"
    """

    def hashes(texts: Iterable[str]) -> str:
        digests = [base64.b64encode(sha256(text.encode()).digest()).decode() for text in texts]
        return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"

    parts = {
        "default-src": "'none'", "script-src": hashes(scripts), "style-src": hashes(styles),
        "img-src": "data:", "connect-src": "'none'", "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip
    return "; ".join(f"{name} {value}" for name, value in parts.items())


def embedded(data: object) -> str:
    """JSON that ends no script: shares to five digits, null for what is no number.

    Example:
        >>> embedded({"name": "</script>", "rate": [0.123456789, float("nan")]})
        '{"name":"\\\\u003c/script\\\\u003e","rate":[0.12346,null]}'
    """
    text = json.dumps(_plain(data), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(own) for own in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return float(f"{value:.5g}")
    return value


@lru_cache
def _environment(escape: bool) -> Environment:
    environment = Environment(
        loader=FunctionLoader(_source), autoescape=escape, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=None if escape else _safe,
    )  # fmt: skip
    environment.filters["markdown"] = lambda table: Markup(markdown(table))
    environment.filters["code_block"] = lambda text: Markup(code_block(text))
    environment.filters["code_span"] = lambda text: Markup(code_span(text))
    return environment


def _source(name: str) -> str:
    package, _, path = name.partition(":")
    return (files(package) / path).read_text("utf-8")


def _safe(value: object) -> object:
    """What Markdown prints: texts of a run are escaped, what is Markdown already is not."""
    return value if isinstance(value, Markup) else inline(value)
