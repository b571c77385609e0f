"""The report of a run: tables, figures and a page, made from its rows."""

from __future__ import annotations

from priemo_bench.report.grid import save_grid as save_grid
from priemo_bench.report.page import is_written as is_written
from priemo_bench.report.page import write_report as write_report
