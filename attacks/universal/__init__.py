"""Gradient-based universal perturbations, one file for each paper.

`UniversalAttack` (attack.py) is the class of all but GAP; `METHODS` are its methods.
"""

from __future__ import annotations

from priemo_bench.attacks.preset import Preset
from priemo_bench.attacks.universal.attack import METHODS, TARGETED_METHODS, UniversalAttack
from priemo_bench.contracts.attack import EPS_GRID, Traits

__all__ = ["METHODS", "TARGETED_METHODS", "UniversalAttack"]

_UNTARGETED = Traits("universal", "universal", "many", knob="eps", strengths=EPS_GRID, random=True)
_TARGETED = Traits("universal", "universal", "many", True, "eps", EPS_GRID, random=True)
_PER_CLASS = Traits("universal", "class", "many", knob="eps", strengths=EPS_GRID, random=True)

sgd_uap = Preset(UniversalAttack, _TARGETED, {"method": "sgd-uap"})
sga = Preset(UniversalAttack, _TARGETED, {"method": "sga"})
df_uap = Preset(UniversalAttack, _TARGETED, {"method": "df-uap"})
cos_uap = Preset(UniversalAttack, _UNTARGETED, {"method": "cos-uap"})
fi_uap = Preset(UniversalAttack, _UNTARGETED, {"method": "fi-uap"})
gd_uap = Preset(UniversalAttack, _UNTARGETED, {"method": "gd-uap"})
uap_rarest = Preset(UniversalAttack, _TARGETED, {"method": "df-uap", "goal": "rarest"})
"""Untargeted, the rarest emotion is the target: the most that a collapse to one class protects."""
fi_uap_class = Preset(UniversalAttack, _PER_CLASS, {"method": "fi-uap", "scope": "class"})
opom = Preset(UniversalAttack, _PER_CLASS, {"method": "opom", "scope": "class"})
sga_class = Preset(UniversalAttack, _PER_CLASS, {"method": "sga", "scope": "class"})
