"""The attacks that come with priemo-bench, each an ART evasion attack."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from priemo_bench.attacks.cloaks import TIPIM as TIPIM
    from priemo_bench.attacks.cloaks import Fawkes as Fawkes
    from priemo_bench.attacks.ddn import DDN as DDN
    from priemo_bench.attacks.priemo import ClassPriEMO as ClassPriEMO
    from priemo_bench.attacks.priemo import GeneratorPriEMO as GeneratorPriEMO
    from priemo_bench.attacks.priemo import ImagePriEMO as ImagePriEMO
    from priemo_bench.attacks.priemo import PriEMO as PriEMO
    from priemo_bench.attacks.priemo import UniversalPriEMO as UniversalPriEMO
    from priemo_bench.attacks.universal import UniversalAttack as UniversalAttack
    from priemo_bench.attacks.universal.gap import GAP as GAP

_HOME = {
    "ClassPriEMO": "priemo",
    "DDN": "ddn",
    "Fawkes": "cloaks",
    "GAP": "universal.gap",
    "GeneratorPriEMO": "priemo",
    "ImagePriEMO": "priemo",
    "PriEMO": "priemo",
    "TIPIM": "cloaks",
    "UniversalAttack": "universal",
    "UniversalPriEMO": "priemo",
}
"""Gradient attacks by name, and their modules; the rest are in modules named after their family."""
__all__ = [
    "DDN",
    "GAP",
    "TIPIM",
    "ClassPriEMO",
    "Fawkes",
    "GeneratorPriEMO",
    "ImagePriEMO",
    "PriEMO",
    "UniversalAttack",
    "UniversalPriEMO",
]


def __getattr__(name: str) -> object:
    """Import on first use: torch and ART take seconds."""
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
