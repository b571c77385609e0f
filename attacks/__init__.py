"""The attacks that come with priemo-bench, each an ART evasion attack."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from priemo_bench.attacks.priemo import ClassPriEMO as ClassPriEMO
    from priemo_bench.attacks.priemo import GeneratorPriEMO as GeneratorPriEMO
    from priemo_bench.attacks.priemo import ImagePriEMO as ImagePriEMO
    from priemo_bench.attacks.priemo import PriEMO as PriEMO
    from priemo_bench.attacks.priemo import UniversalPriEMO as UniversalPriEMO

__all__ = ["ClassPriEMO", "GeneratorPriEMO", "ImagePriEMO", "PriEMO", "UniversalPriEMO"]


def __getattr__(name: str) -> object:
    """Import on first use: torch and ART take seconds."""
    if name in __all__:
        return getattr(import_module("priemo_bench.attacks.priemo"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
