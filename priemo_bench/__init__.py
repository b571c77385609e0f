"""priemo-bench: facial-emotion privacy measured, on top of ART, torchattacks, timm and pandas."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from priemo_bench import deprecated

if TYPE_CHECKING:
    from priemo_bench.benchmark import Benchmark as Benchmark
    from priemo_bench.contracts.dataset import load_dataset as load_dataset
    from priemo_bench.contracts.victim import load_victim as load_victim
    from priemo_bench.errors import PriemoError as PriemoError
    from priemo_bench.photos.front import protect as protect
    from priemo_bench.published.perturbations import load_perturbation as load_perturbation
    from priemo_bench.published.results import load_results as load_results
    from priemo_bench.quality.budget import Budget as Budget
    from priemo_bench.registry import register as register
    from priemo_bench.results import Results as Results

__version__ = "0.3.0"
__all__ = [
    "Benchmark",
    "Budget",
    "PriEMO",
    "PriemoError",
    "Results",
    "__version__",
    "load_dataset",
    "load_perturbation",
    "load_results",
    "load_victim",
    "protect",
    "register",
]

_HOME = {
    "Benchmark": "priemo_bench.benchmark",
    "Budget": "priemo_bench.quality.budget",
    "PriemoError": "priemo_bench.errors",
    "Results": "priemo_bench.results",
    "load_dataset": "priemo_bench.contracts.dataset",
    "load_perturbation": "priemo_bench.published.perturbations",
    "load_results": "priemo_bench.published.results",
    "load_victim": "priemo_bench.contracts.victim",
    "protect": "priemo_bench.photos.front",
    "register": "priemo_bench.registry",
}


def __getattr__(name: str) -> Any:
    """Import on first use: torch and ART take seconds that `priemo-bench --help` need not pay.

    A name of a plug-in (`PriEMO`) is found by its entry point in the group `priemo_bench.names`.
    """
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in __all__:
        from importlib.metadata import entry_points

        for point in entry_points(group="priemo_bench.names", name=name):
            return point.load()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


deprecated.install()
