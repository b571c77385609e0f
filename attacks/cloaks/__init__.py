"""Cloaks of face-recognition privacy, with emotions for identities: one file for each paper."""

from __future__ import annotations

from priemo_bench.attack import EPS_GRID, Traits
from priemo_bench.attacks.cloaks.fawkes import Fawkes
from priemo_bench.attacks.cloaks.tip_im import TIPIM
from priemo_bench.attacks.entry import Entry

__all__ = ["TIPIM", "Fawkes"]

fawkes = Entry(Fawkes, Traits("per-image", "image", "many", targeted=True, budgeted=True))
tip_im = Entry(TIPIM, Traits("per-image", "image", "many", True, "eps", EPS_GRID))
