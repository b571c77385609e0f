"""The report of a run: tables, figures and a page, made from its rows."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from priemo_bench.report.files import complete as complete
    from priemo_bench.report.files import is_written as is_written
    from priemo_bench.report.grid import save_examples as save_examples
    from priemo_bench.report.overview import write_overview as write_overview
    from priemo_bench.report.page import write_report as write_report

_HOME = {
    "complete": "files", "is_written": "files", "save_examples": "grid",
    "write_overview": "overview", "write_report": "page",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import on first use: what is shown of a finished run needs no pandas."""
    if name in _HOME:
        return getattr(import_module(f"priemo_bench.report.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
