"""ART's per-image attacks, by their own names and keyword arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from inspect import signature

import art.attacks.evasion as evasion
import numpy as np
from art.attacks.attack import EvasionAttack

from priemo_bench.attacks.adapter import RELATIVE_STEP, AdaptedAttack
from priemo_bench.attacks.art_pgd import LinfPGD
from priemo_bench.attacks.losses import with_loss
from priemo_bench.contracts.attack import EPS_GRID, Traits
from priemo_bench.contracts.image import FloatImages, Labels
from priemo_bench.contracts.preset import Preset
from priemo_bench.errors import PriemoError
from priemo_bench.registry import unknown

RELATIVE_STEPS = {"AutoProjectedGradientDescent": 2.0}
"""First step sizes other than RELATIVE_STEP, as shares of eps: that of Croce & Hein."""
IN_TORCH = {evasion.ProjectedGradientDescent, evasion.ProjectedGradientDescentPyTorch}
"""Attacks of ART that `LinfPGD` runs, where the classifier's preprocessing is of torch."""
RESERVED = {"self", "classifier", "estimator", "summary_writer"}
"""Constructor arguments of ART's attacks that are not the user's to set."""


def art_attack_class(name: str) -> type[EvasionAttack]:
    """The class `name` of `art.attacks.evasion`; PriemoError names the nearest for a typo."""
    found = getattr(evasion, name, None)
    if not (isinstance(found, type) and issubclass(found, EvasionAttack)):
        known = [n for n, c in vars(evasion).items() if isinstance(c, type)]
        raise unknown("ART attacks", name, known)
    return found


def keyword_arguments(
    attack_class: Callable[..., object],
    params: Mapping[str, object],
    defaults: Mapping[str, object],
    reserved: set[str],
) -> dict[str, object]:
    """`params`, after those of `defaults` that `attack_class` has a parameter for.

    Raises:
        PriemoError: `params` has a name that the class has not, or that is `reserved`.
    """
    known = set(signature(attack_class).parameters) - reserved
    for name in params:
        if name not in known:
            raise unknown(f"{attack_class.__name__} parameters", name, known)
    return {**{k: v for k, v in defaults.items() if k in known}, **params}


NOT_RANDOM = {
    "BasicIterativeMethod", "CarliniL0Method", "CarliniL2Method", "CarliniLInfMethod", "DeepFool",
    "ElasticNet", "FastGradientMethod", "FrameSaliencyAttack", "NewtonFool", "SaliencyMapMethod",
}  # fmt: skip
"""Attacks of ART that draw nothing with the parameters that they have by default."""


@contextmanager
def refusals(attack: str) -> Iterator[None]:
    """Re-raise what a constructor of ART raises as PriemoError, one sentence."""
    try:
        yield
    except PriemoError:
        raise
    except (TypeError, ValueError) as error:
        raise PriemoError(f"{attack} of ART refuses its parameters: {error}") from error


class ArtAttack(AdaptedAttack):
    """Any per-image evasion attack of ART.

    `attack` is the name of a class in `art.attacks.evasion`, `params` are further arguments of it
    (`max_iter`, `norm`, `num_random_init` ...); see `AdaptedAttack` for the rest.

    Example:
        >>> from priemo_bench.attacks.art_adapter import ArtAttack
        >>> from priemo_bench.testing import toy_classifier, toy_faces
        >>> classifier, (x, y) = toy_classifier(), toy_faces()
        >>> protected = ArtAttack(classifier, "DeepFool", max_iter=10).generate(x)
        >>> float((classifier.predict(protected).argmax(1) != y).mean())
        1.0
    """

    default_attack = "ProjectedGradientDescent"

    def _run(self, x: FloatImages, labels: Labels | None, mask: FloatImages | None) -> FloatImages:
        one_hot = np.eye(self.estimator.nb_classes, dtype=np.float32)
        given = {} if mask is None else {"mask": mask}
        y = None if labels is None else one_hot[labels]
        found: FloatImages = self._build().generate(x, y, **given)
        return found

    def _build(self) -> EvasionAttack:
        attack_class, classifier = (
            art_attack_class(self.attack),
            with_loss(self.estimator, self.loss, filters=self.filters),
        )
        if attack_class in IN_TORCH and classifier.all_framework_preprocessing:
            attack_class = LinfPGD
        defaults = {
            "eps": float(self.eps),
            "eps_step": float(self.eps) * RELATIVE_STEPS.get(self.attack, RELATIVE_STEP),
            "targeted": self.targeted,
            "batch_size": self.batch_size,
            "verbose": False,
        }
        if self.targeted and "targeted" not in signature(attack_class).parameters:
            raise PriemoError(f"{self.attack} of ART cannot be targeted")
        return attack_class(
            classifier,
            **keyword_arguments(attack_class, self.params, defaults, RESERVED),
        )

    def _check_attack(self) -> None:
        with refusals(self.attack):
            self._build()


def by_name(name: str) -> Preset:
    """The entry of "art:NAME", with the traits that the class's signature shows.

    Raises:
        PriemoError: ART has no such evasion attack.
    """
    named = signature(art_attack_class(name)).parameters
    eps = "eps" in named
    return Preset(
        ArtAttack,
        Traits(
            "per-image", "image", "one", "targeted" in named,
            "eps" if eps else None, EPS_GRID if eps else (), random=name not in NOT_RANDOM,
        ),
        {"attack": name},
    )  # fmt: skip


_TRAITS = Traits("per-image", "image", "one", targeted=True, knob="eps", strengths=EPS_GRID)

fgsm = Preset(
    ArtAttack,
    _TRAITS,
    {"attack": "FastGradientMethod"},
    summary="ART's FastGradientMethod: one signed step",
    source="Goodfellow, Shlens & Szegedy 2015, arXiv:1412.6572",
)
"""Goodfellow, Shlens & Szegedy 2015, arXiv:1412.6572."""

pgd = Preset(
    ArtAttack,
    _TRAITS,
    {"attack": "ProjectedGradientDescent", "max_iter": 25},
    summary="ART's ProjectedGradientDescent, 25 steps, no random start",
    source="Madry et al. 2018, arXiv:1706.06083",
)
"""Madry et al. 2018, arXiv:1706.06083, without random start."""

apgd = Preset(
    ArtAttack,
    replace(_TRAITS, random=True),
    {"attack": "AutoProjectedGradientDescent", "max_iter": 25, "nb_random_init": 1},
    summary="ART's AutoProjectedGradientDescent, 25 steps, one start",
    source="Croce & Hein 2020, arXiv:2003.01690",
)
"""Croce & Hein 2020, arXiv:2003.01690: PGD with an adaptive step size, one random start."""
