"""Feature-space cloaks of face-recognition privacy, with emotions in place of identities."""

from __future__ import annotations

from priemo_bench.attacks.cloaks.fawkes import Fawkes
from priemo_bench.attacks.cloaks.tip_im import TIPIM
from priemo_bench.contracts.attack import EPS_GRID, Traits
from priemo_bench.contracts.preset import Preset

__all__ = ["TIPIM", "Fawkes"]

fawkes = Preset(
    Fawkes,
    Traits("per-image", "image", "many", targeted=True, budgeted=True),
    summary="Fawkes: moves features to another class under a DSSIM budget",
    source="Shan et al. 2020, arXiv:2002.08327",
)
tip_im = Preset(
    TIPIM,
    Traits("per-image", "image", "many", True, "eps", EPS_GRID),
    summary="TIP-IM: momentum steps in feature space towards several targets",
    source="Yang et al. 2021, arXiv:2003.06814",
)
