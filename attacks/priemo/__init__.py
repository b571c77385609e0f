"""Pri-EMO (Zeng et al. 2023): a small perturbation computed in feature space.

`PriEMO` is the attack; the scopes are entries of the benchmark of their own, and so is the same
optimiser on the logit margin alone, which shows what feature vectors add to the geometry of the
budget.
"""

from __future__ import annotations

from dataclasses import replace

from priemo_bench.attacks.preset import Preset
from priemo_bench.attacks.priemo.attack import PriEMO
from priemo_bench.contracts.attack import Traits

__all__ = [
    "PriEMO", "priemo_class", "priemo_generator", "priemo_image", "priemo_logit", "priemo_transfer",
    "priemo_universal",
]  # fmt: skip

_IMAGE = Traits("per-image", "image", "many", targeted=True, budgeted=True)
_SHARED = Traits("universal", "universal", "many", targeted=True, random=True, budgeted=True)

priemo_image = Preset(PriEMO, _IMAGE, {"scope": "image"})
priemo_transfer = Preset(
    PriEMO,
    replace(_IMAGE, random=True),
    {"scope": "image", "loss": "logit", "confidence": 1.5, "diversity": 0.7, "restarts": 0},
)
"""Scope image for recognisers that are not among its surrogates.

Its loss was chosen on fit faces, each surrogate left out in turn (test_defaults.py).
"""
priemo_class = Preset(PriEMO, replace(_SHARED, scope="class"), {"scope": "class"})
priemo_universal = Preset(PriEMO, _SHARED, {"scope": "universal"})
priemo_generator = Preset(PriEMO, replace(_SHARED, scope="generator"), {"scope": "generator"})
priemo_logit = Preset(PriEMO, _IMAGE, {"scope": "image", "loss": "logit"})
"""Scope image without feature vectors: the same optimiser on the margin of the logits alone."""
