"""priemo-bench: facial-emotion privacy measured, on top of ART, torchattacks, timm and pandas."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from priemo_bench.benchmark import Benchmark as Benchmark
    from priemo_bench.errors import PriemoError as PriemoError

__version__ = "0.2.0"
__all__ = ["Benchmark", "PriemoError", "__version__"]

_HOME = {"Benchmark": "priemo_bench.benchmark", "PriemoError": "priemo_bench.errors"}


def __getattr__(name: str) -> Any:
    """Import on first use: torch and ART take seconds that `priemo-bench list` need not pay."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
