"""Universal perturbations by gradients, the strongest known: one file for each paper.

`UniversalAttack` is their front, attack.py; what each learns and how is in the file of its name.
"""

from __future__ import annotations

from priemo_bench.attacks.preset import Preset
from priemo_bench.attacks.universal.attack import AIMED, METHODS, UniversalAttack
from priemo_bench.contracts.attack import EPS_GRID, Traits

__all__ = ["AIMED", "METHODS", "UniversalAttack"]

_ONE = Traits("universal", "universal", "many", knob="eps", strengths=EPS_GRID, random=True)
_AIMED = Traits("universal", "universal", "many", True, "eps", EPS_GRID, random=True)
_EACH = Traits("universal", "class", "many", knob="eps", strengths=EPS_GRID, random=True)

sgd_uap = Preset(UniversalAttack, _AIMED, {"method": "sgd-uap"})
sga = Preset(UniversalAttack, _AIMED, {"method": "sga"})
df_uap = Preset(UniversalAttack, _AIMED, {"method": "df-uap"})
cos_uap = Preset(UniversalAttack, _ONE, {"method": "cos-uap"})
fi_uap = Preset(UniversalAttack, _ONE, {"method": "fi-uap"})
gd_uap = Preset(UniversalAttack, _ONE, {"method": "gd-uap"})
uap_rarest = Preset(UniversalAttack, _AIMED, {"method": "df-uap", "goal": "rarest"})
"""Untargeted it goes to the rarest emotion: the ceiling of what a collapse protects."""
fi_uap_class = Preset(UniversalAttack, _EACH, {"method": "fi-uap", "scope": "class"})
opom = Preset(UniversalAttack, _EACH, {"method": "opom", "scope": "class"})
sga_class = Preset(UniversalAttack, _EACH, {"method": "sga", "scope": "class"})
