"""Pri-EMO (Zeng et al. 2023): a small perturbation computed in feature space.

`PriEMO` is the attack. Each of its scopes is an entry of the benchmark, and so is the same
optimiser on the logit margin alone, which isolates the contribution of feature vectors.
"""

from __future__ import annotations

from dataclasses import replace

from priemo_bench.attacks.priemo.attack import PriEMO
from priemo_bench.attacks.priemo.generator import GeneratorPriEMO
from priemo_bench.attacks.priemo.image import ImagePriEMO
from priemo_bench.attacks.priemo.universal import ClassPriEMO, UniversalPriEMO
from priemo_bench.contracts.attack import Traits
from priemo_bench.contracts.preset import Preset

__all__ = [
    "ClassPriEMO", "GeneratorPriEMO", "ImagePriEMO", "PriEMO", "UniversalPriEMO", "priemo_class",
    "priemo_generator", "priemo_image", "priemo_logit", "priemo_survive", "priemo_transfer",
    "priemo_universal",
]  # fmt: skip

_IMAGE = Traits("per-image", "image", "many", targeted=True, budgeted=True)
_UNIVERSAL = Traits("universal", "universal", "many", targeted=True, random=True, budgeted=True)

priemo_image = Preset(
    ImagePriEMO,
    _IMAGE,
    summary="Pri-EMO, scope image: each photo optimised in feature space",
    source="Zeng et al. 2023, doi:10.1016/j.jiixd.2023.08.001; the design is ours",
)
priemo_transfer = Preset(
    ImagePriEMO,
    replace(_IMAGE, random=True),
    {"loss": "logit", "confidence": 1.5, "diversity": 0.7, "restarts": 0},
    summary="Pri-EMO, scope image, for classifiers that nobody looked into",
    source="Zeng et al. 2023, doi:10.1016/j.jiixd.2023.08.001; the design is ours",
)
"""Scope image for transfer to classifiers that are not surrogates.

The loss was chosen on fit faces, each surrogate left out in turn (test_defaults.py).
"""
priemo_survive = Preset(
    ImagePriEMO,
    _IMAGE,
    {"filters": ("set-1",), "steps": 50, "loss": "logit", "confidence": 0.2},
    summary="Pri-EMO, scope image, through every filter of set-1",
    source="Zeng et al. 2023, doi:10.1016/j.jiixd.2023.08.001; the design is ours",
)
"""Scope image for a victim that may filter its input, with any filter of set 1.

Loss, confidence and the norm over filters were chosen on fit faces of FER2013.
"""
priemo_class = Preset(
    ClassPriEMO,
    replace(_UNIVERSAL, scope="class"),
    summary="Pri-EMO, scope class: one universal perturbation per emotion",
    source="Zeng et al. 2023, doi:10.1016/j.jiixd.2023.08.001; the design is ours",
)
priemo_universal = Preset(
    UniversalPriEMO,
    _UNIVERSAL,
    summary="Pri-EMO, scope universal: one perturbation for all photos",
    source="Zeng et al. 2023, doi:10.1016/j.jiixd.2023.08.001; the design is ours",
)
priemo_generator = Preset(
    GeneratorPriEMO,
    replace(_UNIVERSAL, scope="generator"),
    summary="Pri-EMO, scope generator: a network gives each photo its perturbation",
    source="Zeng et al. 2023, doi:10.1016/j.jiixd.2023.08.001; the design is ours",
)
priemo_logit = Preset(
    ImagePriEMO,
    _IMAGE,
    {"loss": "logit"},
    summary="Pri-EMO, scope image, on the logit margin alone",
    source="Zeng et al. 2023, doi:10.1016/j.jiixd.2023.08.001; the design is ours",
)
"""Scope image without feature vectors: the same optimiser on the logit margin alone."""
