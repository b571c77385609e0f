"""Gradient-based universal perturbations, one file for each paper.

`UniversalAttack` (attack.py) is the class of all but GAP; `METHODS` are its methods.
"""

from __future__ import annotations

from priemo_bench.attacks.universal.attack import METHODS, TARGETED_METHODS, UniversalAttack
from priemo_bench.contracts.attack import EPS_GRID, Traits
from priemo_bench.contracts.preset import Preset

__all__ = ["METHODS", "TARGETED_METHODS", "UniversalAttack"]

_UNTARGETED = Traits("universal", "universal", "many", knob="eps", strengths=EPS_GRID, random=True)
_TARGETED = Traits("universal", "universal", "many", True, "eps", EPS_GRID, random=True)
_PER_CLASS = Traits("universal", "class", "many", knob="eps", strengths=EPS_GRID, random=True)

sgd_uap = Preset(
    UniversalAttack,
    _TARGETED,
    {"method": "sgd-uap"},
    summary="universal perturbation by stochastic gradient steps",
    source="Shafahi et al. 2020, arXiv:1811.11304",
)
sga = Preset(
    UniversalAttack,
    _TARGETED,
    {"method": "sga"},
    summary="universal perturbation by aggregated small-batch gradients",
    source="Liu et al. 2023, arXiv:2308.06015",
)
df_uap = Preset(
    UniversalAttack,
    _TARGETED,
    {"method": "df-uap"},
    summary="universal perturbation with a dominant feature",
    source="Zhang et al. 2020, arXiv:2007.06189",
)
cos_uap = Preset(
    UniversalAttack,
    _UNTARGETED,
    {"method": "cos-uap"},
    summary="universal perturbation by the cosine of the logits",
    source="Zhang et al. 2021, ICCV",
)
fi_uap = Preset(
    UniversalAttack,
    _UNTARGETED,
    {"method": "fi-uap"},
    summary="universal perturbation on features of the surrogate",
    source="Zhong & Deng 2022, arXiv:2205.11981",
)
gd_uap = Preset(
    UniversalAttack,
    _UNTARGETED,
    {"method": "gd-uap"},
    summary="universal perturbation without data, by activations",
    source="Mopuri et al. 2018, arXiv:1801.08092",
)
uap_rarest = Preset(
    UniversalAttack,
    _TARGETED,
    {"method": "df-uap", "goal": "rarest"},
    summary="df-uap with the rarest emotion as its target",
    source="Zhang et al. 2020, arXiv:2007.06189",
)
"""Untargeted, the rarest emotion is the target: the most that a collapse to one class protects."""
fi_uap_class = Preset(
    UniversalAttack,
    _PER_CLASS,
    {"method": "fi-uap", "scope": "class"},
    summary="fi-uap, one perturbation per emotion",
    source="Zhong & Deng 2022, arXiv:2205.11981",
)
opom = Preset(
    UniversalAttack,
    _PER_CLASS,
    {"method": "opom", "scope": "class"},
    summary="OPOM with emotions in place of identities",
    source="Zhong & Deng 2022, arXiv:2205.11981",
)
sga_class = Preset(
    UniversalAttack,
    _PER_CLASS,
    {"method": "sga", "scope": "class"},
    summary="sga, one perturbation per emotion",
    source="Liu et al. 2023, arXiv:2308.06015",
)
