"""What an attack is: an ART `EvasionAttack` with traits, and how the harness makes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from priemo_bench.contracts.image import FloatImages, Labels
from priemo_bench.errors import PriemoError, unknown

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier

Family = Literal["universal", "per-image", "cryptographic", "transform", "control"]
Scope = Literal["image", "class", "universal", "generator", "-"]
FITTED_SCOPES = ("class", "universal", "generator")
"""Scopes whose perturbation is fitted once and then applied without a gradient."""

EPS_GRID = tuple(v / 255 for v in (0.5, 1, 1.5, 2, 3, 4, 6, 8))
"""From which an attack with an eps gets it under the equal-quality budget."""


@dataclass(frozen=True)
class Traits:
    """What the harness must know of an attack; stands beside its class as `traits`.

    Attributes:
        family: group of the leaderboard.
        scope: images that have one perturbation in common; "-" where there is none.
        surrogates: how many classifiers it takes: "none", "one" or "many" (one or more).
        targeted: whether it accepts `targeted=True`.
        knob: name of the constructor argument that sets its strength, if it has one.
        strengths: values of the knob from weakest to strongest, tried under the budget.
        random: whether `random_state` changes the result, so that seeds are averaged.
        budgeted: whether it takes `ssim_floor`, `psnr_floor` (one of both) and `eps`, and keeps
            that budget itself.

    Example:
        >>> from priemo_bench.contracts.attack import Traits
        >>> Traits("universal", scope="universal", surrogates="one", knob="eps").is_fitted
        True
    """

    family: Family
    scope: Scope = "-"
    surrogates: Literal["none", "one", "many"] = "none"
    targeted: bool = False
    knob: str | None = None
    strengths: tuple[float, ...] = ()
    random: bool = False
    budgeted: bool = False

    @property
    def is_fitted(self) -> bool:
        """Whether `fit` learns a perturbation that `apply` then adds without a gradient."""
        return self.scope in FITTED_SCOPES


class Attack(Protocol):
    """An ART `EvasionAttack`."""

    def generate(self, x: FloatImages, y: Labels | None = None, **kwargs: Any) -> FloatImages:
        """Protected images, floats in [0, 1], same shape as `x`; `x` is not modified."""
        ...


class FittableAttack(Attack, Protocol):
    """An attack that is fitted once and then applied, without a gradient or a label."""

    def fit(self, x: FloatImages, y: Labels | None = None) -> FittableAttack:
        """Learn from images (n, c, h, w) in [0, 1] with labels, or targets, (n,)."""
        ...

    def apply(self, x: FloatImages, y: Labels | None = None) -> FloatImages:
        """Protected images, floats in [0, 1], same shape as `x`; `x` is not modified."""
        ...

    def save(self, path: Path) -> None:
        """Write what was fitted as safetensors."""
        ...


class AttackEntry(Protocol):
    """What an entry point of group `priemo_bench.attacks` points at: a class, or a factory.

    Called as `entry(classifier, **params)` with an ART `PyTorchClassifier` (None where
    `traits.surrogates` is "none"); further surrogates come as `surrogates=(...)`, the seed as
    `random_state=...` where `traits.random`, and `targeted=True` with targets as `y`.
    """

    @property
    def traits(self) -> Traits: ...

    def __call__(self, classifier: Any, **params: Any) -> Attack: ...


def make_attack(
    entry: AttackEntry,
    classifiers: Sequence[PyTorchClassifier],
    params: Mapping[str, Any],
    seed: int = 0,
    targeted: bool = False,
) -> Attack:
    """An attack as its traits ask for it, without a progress bar of its own, not fitted.

    Args:
        classifiers: ART classifiers of the surrogates, the first as `classifier`, others as
            `surrogates=(...)`; empty for an attack without a surrogate.
        params: further constructor arguments, before which go the following.
        seed: `random_state` where `traits.random`.

    Raises:
        PriemoError: the attack refuses an argument.
    """
    given: dict[str, Any] = {"random_state": seed} if entry.traits.random else {}
    if targeted:
        given["targeted"] = True
    if len(classifiers) > 1:
        given["surrogates"] = tuple(classifiers[1:])
    try:
        attack = entry(classifiers[0] if classifiers else None, **{**given, **params})
    except PriemoError:
        raise
    except Exception as error:  # any that a constructor of others may raise
        made = getattr(entry, "attack", entry)
        known = {*named_parameters(made), *getattr(made, "attack_params", ())} - {"classifier"}
        for name in params.keys() - known if known else ():
            if repr(name) in str(error):  # else another is to blame
                raise unknown("parameter", name, known - given.keys()) from error
        raise PriemoError(f"the attack refuses its parameters: {error}") from error
    if "verbose" in getattr(attack, "attack_params", ()):
        attack.set_params(verbose=False)  # type: ignore[attr-defined]
    return attack


def named_parameters(thing: Any) -> dict[str, Parameter]:
    """Those that a callable's signature names: not *args and **kwargs; none where it hides them."""
    try:
        found = signature(thing).parameters
    except (TypeError, ValueError):
        return {}
    return {n: p for n, p in found.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
