"""ART's per-image attacks, by their own names and keyword arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from inspect import signature
from typing import Any, ClassVar

import art.attacks.evasion as evasion
import numpy as np
from art.attacks.attack import EvasionAttack

from priemo_bench.attacks.adapter import STEP, AdaptedAttack
from priemo_bench.attacks.losses import sibling
from priemo_bench.attacks.preset import Preset
from priemo_bench.contracts.attack import EPS_GRID, Traits
from priemo_bench.contracts.image import FloatImages, Labels
from priemo_bench.errors import PriemoError
from priemo_bench.registry import unknown

STEPS = {"AutoProjectedGradientDescent": 2.0}
"""First steps other than STEP, in eps: Croce & Hein's."""


def art_class(name: str) -> type[EvasionAttack]:
    """The class `name` of `art.attacks.evasion`; PriemoError names the nearest for a typo."""
    found = getattr(evasion, name, None)
    if not (isinstance(found, type) and issubclass(found, EvasionAttack)):
        known = [n for n, c in vars(evasion).items() if isinstance(c, type)]
        raise unknown("ART attacks", name, known)
    return found


def accepted(
    make: Any, given: Mapping[str, Any], defaults: Mapping[str, Any], reserved: set[str]
) -> dict[str, Any]:
    """`given` over those `defaults` that `make` has a parameter for.

    Raises:
        PriemoError: for a name in `given` that `make` has not, or that is `reserved`.
    """
    known = set(signature(make).parameters) - reserved
    for name in given:
        if name not in known:
            raise unknown(f"{make.__name__} parameters", name, known)
    return {**{k: v for k, v in defaults.items() if k in known}, **given}


class ArtAttack(AdaptedAttack):
    """Any evasion attack of ART that perturbs each image: `ArtAttack(classifier, "DeepFool")`.

    `attack` is the name of a class in `art.attacks.evasion`, `params` are further arguments of it
    (`max_iter`, `norm`, `num_random_init` ...); see `AdaptedAttack` for the rest.
    """

    default = "ProjectedGradientDescent"
    _reserved: ClassVar[set[str]] = {"self", "classifier", "estimator", "summary_writer"}

    def _run(self, x: FloatImages, labels: Labels | None) -> FloatImages:
        one_hot = np.eye(self.estimator.nb_classes, dtype=np.float32)
        found: FloatImages = self._build().generate(x, None if labels is None else one_hot[labels])
        return found

    def _build(self) -> EvasionAttack:
        make = art_class(self.attack)
        defaults = {
            "eps": self.eps, "eps_step": self.eps * STEPS.get(self.attack, STEP),
            "targeted": self.targeted,
            "batch_size": self.batch_size, "verbose": False,
        }  # fmt: skip
        if self.targeted and "targeted" not in signature(make).parameters:
            raise PriemoError(f"{self.attack} of ART cannot be targeted")
        return make(
            sibling(self.estimator, self.loss),
            **accepted(make, self.params, defaults, self._reserved),
        )

    def _check_attack(self) -> None:
        try:
            self._build()
        except PriemoError:
            raise
        except (TypeError, ValueError) as error:
            raise PriemoError(f"{self.attack} of ART refuses its parameters: {error}") from error


_TRAITS = Traits("per-image", "image", "one", targeted=True, knob="eps", strengths=EPS_GRID)

fgsm = Preset(ArtAttack, _TRAITS, {"attack": "FastGradientMethod"})
"""Goodfellow, Shlens & Szegedy 2015, arXiv:1412.6572."""

pgd = Preset(ArtAttack, _TRAITS, {"attack": "ProjectedGradientDescent", "max_iter": 25})
"""Madry et al. 2018, arXiv:1706.06083, without random start."""

apgd = Preset(
    ArtAttack,
    replace(_TRAITS, random=True),
    {"attack": "AutoProjectedGradientDescent", "max_iter": 25, "nb_random_init": 1},
)
"""Croce & Hein 2020, arXiv:2003.01690: PGD that halves its own step, from one random start."""
