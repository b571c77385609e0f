"""Bases of the attacks, and the checks of parameters and labels that they share."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import inf, isfinite
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from art.attacks.attack import EvasionAttack
from art.estimators.classification import PyTorchClassifier
from art.estimators.classification.classifier import ClassifierMixin
from art.estimators.estimator import BaseEstimator, LossGradientsMixin

from priemo_bench.attacks.doors import Doors, check_seed
from priemo_bench.attacks.serialization import damaged, load_attack, save_attack
from priemo_bench.contracts.attack import Traits
from priemo_bench.contracts.image import FloatImages, Labels, check_images
from priemo_bench.contracts.storage import Tensors
from priemo_bench.errors import PriemoError, require
from priemo_bench.registry import unknown

SESSION_PARAMS = {"summary_writer", "surrogates", "verbose"}
"""Names in `attack_params` that are not saved."""
LATER_PARAMS: Mapping[str, object] = {"filters": ()}
"""Parameters that files of earlier versions lack, and what they were."""


def require_int(attack: object, *names: str, low: int = 1) -> None:
    """PriemoError unless these attributes are whole numbers from `low`, of 64 bits."""
    for name in names:
        value = getattr(attack, name)
        whole = isinstance(value, Integral) and not isinstance(value, bool | np.bool_)
        whole = whole and low <= int(value) < 2**63
        require(whole, name, value, f"a whole number from {low}")


def require_number(attack: object, *names: str, low: float = 0.0, high: float = inf) -> None:
    """PriemoError unless these attributes are finite numbers from `low` to `high`."""
    for name in names:
        value = getattr(attack, name)
        holds = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
        holds = holds and isfinite(value) and low <= float(value) <= high
        end = f" to {high:g}" if isfinite(high) else ""
        require(holds, name, value, f"a number from {low:g}{end}")


def require_bool(attack: object, *names: str) -> None:
    """PriemoError unless these attributes are True or False."""
    for name in names:
        value = getattr(attack, name)
        require(isinstance(value, bool | np.bool_), name, value, "True or False")


def require_eps(eps: float) -> None:
    """PriemoError unless `eps` is a perturbation size on the scale of [0, 1] images."""
    holds = isinstance(eps, Real) and 0 < float(eps) <= 1
    require(holds, "eps", eps, "a number in (0, 1] (8 grey levels are 8/255)")


def as_surrogates(given: Any) -> tuple[PyTorchClassifier, ...]:
    """`surrogates` of a constructor: one classifier, or a list or tuple of them, as a tuple."""
    return tuple(given) if isinstance(given, list | tuple) else (given,)


def check_labels(y: object, n: int, classes: int) -> Labels:
    """`y` as (n,) labels.

    Args:
        y: (n,) or (n, 1) whole numbers from 0 to classes - 1, or (n, classes) one-hot.

    Raises:
        PriemoError: another shape, or labels out of range.
    """
    try:
        array: npt.NDArray[np.generic] = np.asarray(y)
    except (TypeError, ValueError) as error:  # of ragged lists
        raise PriemoError(f"y is a {type(y).__name__} that is no array of labels") from error
    if array.dtype.kind not in "biuf":
        raise PriemoError(f"y is {array.dtype}; it must be {n} labels from 0 to {classes - 1}")
    if array.shape == (n, classes) and classes > 1:
        return np.asarray(array.argmax(1), np.int64)
    whole = array.size == n and np.array_equal(array, np.rint(array))
    if not whole or array.min() < 0 or array.max() >= classes:
        raise PriemoError(
            f"y has shape {array.shape}; it must be {n} labels from 0 to {classes - 1}, or one-hot"
        )
    return array.reshape(n).astype(np.int64)


@contextmanager
def temporary_seed(random_state: int | None) -> Iterator[None]:
    """Seed the global generators of Python, NumPy and torch, and restore their states after.

    For attacks of other packages, which use the global generators. None changes nothing.
    """
    if random_state is None:
        yield
        return
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng():
        random.seed(int(random_state))
        np.random.seed(int(random_state))  # noqa: NPY002
        torch.manual_seed(int(random_state))
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


class OpenAttack(EvasionAttack, metaclass=Doors):  # type: ignore[misc]  # ART has no types
    """Base of all attacks: its `Doors`, and parameters that can be set later."""

    _fitted_on_purpose = False
    """Whether a caller has called `fit`, or loaded what was fitted."""

    def set_params(self, **kwargs: Any) -> None:
        """Set parameters, as in ART; what was computed with others is forgotten.

        Raises:
            PriemoError: no such parameter, or a value that is wrong; then nothing is set.
        """
        for name in kwargs:
            if name not in self.attack_params:
                raise PriemoError(
                    f"{name} cannot be set: {unknown('parameters', name, self.attack_params)}"
                )
        before = {name: getattr(self, name) for name in kwargs}
        try:
            super().set_params(**kwargs)
            check_seed(kwargs.get("random_state"))
        except Exception:
            for name, value in before.items():
                setattr(self, name, value)
            raise
        changed = {name for name, old in before.items() if not _same(getattr(self, name), old)}
        if changed:
            self._forget(changed)

    def _forget(self, changed: set[str]) -> None:
        """Forget what was computed with other values of the parameters `changed`."""

    def _fit_unless_fitted(self, x: FloatImages, y: object | None) -> None:
        """`fit` on `x` unless a caller has done so; so no `generate` depends on an earlier one."""
        if not self._fitted_on_purpose:
            self.fit(x, y)
            self._fitted_on_purpose = False


def _same(a: object, b: object) -> bool:
    """Whether two values of a parameter are the same; equal arrays count as different."""
    return a is b or (type(a) is type(b) and not hasattr(a, "shape") and bool(a == b))


class GradientAttack(OpenAttack):
    """Base of attacks that use gradients of a surrogate and may be targeted.

    Subclasses set `_targeted` in their constructor; ART reads and sets `targeted` as one of
    `attack_params`.
    """

    _estimator_requirements = (BaseEstimator, LossGradientsMixin, ClassifierMixin)
    _targeted: bool

    @property
    def targeted(self) -> bool:
        """Whether `y` holds the targets, not the labels."""
        return self._targeted

    @targeted.setter
    def targeted(self, value: bool) -> None:
        self._targeted = value

    def _check_y(self, y: object | None, n: int, classes: int) -> Labels | None:
        """`y` as (n,) labels or targets; None where the clean predictions are the labels.

        Raises:
            PriemoError: labels out of range, or no targets for a targeted attack.
        """
        if y is None and self.targeted:
            raise PriemoError("a targeted attack needs the targets as y")
        return None if y is None else check_labels(y, n, classes)


class FittedAttack(GradientAttack):
    """Base of attacks that are fitted once, saved, and applied, also without a classifier.

    Subclasses implement `_state` and `_restore`.

    Attributes:
        fooling_rate: share of the fit faces on which the goal of the fit is reached; None before.
    """

    fooling_rate: float | None = None
    _saved_class: ClassVar[str | None] = None
    """Name of the class in saved files, if not its own."""

    @classmethod
    def is_estimator_valid(cls, estimator: object, estimator_requirements: object) -> bool:
        """As in ART, but also True for None: an attack loaded to `apply` only."""
        return estimator is None or bool(
            super().is_estimator_valid(estimator, estimator_requirements)
        )

    def save(self, path: str | Path) -> None:
        """Write what was fitted as safetensors, with the parameters needed to use it again.

        Raises:
            PriemoError: not fitted, or the file cannot be written.
        """
        tensors, image = self._state()
        settings = {n: getattr(self, n) for n in self.attack_params if n not in SESSION_PARAMS}
        settings["fooling_rate"] = self.fooling_rate
        save_attack(self._saved_class or type(self).__name__, Path(path), tensors, image, settings)

    @classmethod
    def load(
        cls, path: str | Path, classifier: PyTorchClassifier | None = None, **params: Any
    ) -> Self:
        """The attack that `save` wrote; without a classifier it can only `apply`.

        Args:
            params: constructor arguments that replace the saved ones, or are not saved
                (`surrogates`, `verbose`).

        Raises:
            PriemoError: a missing or unreadable file, or one that this class did not write.
        """
        path = Path(path)
        tensors, image, settings = load_attack(cls._saved_class or cls.__name__, path)
        with damaged(path):
            fooling_rate = settings.pop("fooling_rate")
            later = {k: v for k, v in LATER_PARAMS.items() if k in cls.attack_params}
            settings = {**later, **settings}
            if fooling_rate is not None and not 0 <= fooling_rate <= 1:
                raise ValueError(f"its fooling_rate is {fooling_rate}")
            cls(None, **settings)._check_settings(settings)
        attack = cls(classifier, **{**settings, **params})
        attack.fooling_rate = fooling_rate
        with damaged(path):
            attack._restore(tensors, image)
        attack._fitted_on_purpose = bool(tensors)
        return attack

    def _check_settings(self, settings: Mapping[str, object]) -> None:
        """KeyError or TypeError where saved settings lack a parameter, or hold an unusable seed."""
        for name in set(self.attack_params) - SESSION_PARAMS:
            settings[name]
        seed = settings.get("random_state")
        if seed is not None and not (type(seed) is int and 0 <= seed < 2**32):
            raise TypeError(f"its random_state is {seed!r}")

    def _state(self) -> tuple[Tensors, str]:
        """What was fitted, empty before a fit, and the shape of the images, "CxHxW"."""
        raise NotImplementedError

    def _restore(self, tensors: Tensors, image: str) -> None:
        """Take over what `_state` gave."""
        raise NotImplementedError


class ModelFreeAttack(OpenAttack):
    """Base of attacks without a surrogate: `classifier` is ignored and may be None.

    Subclasses set `traits` and `attack_params`, and implement `_run`.
    """

    traits: ClassVar[Traits]
    _estimator_requirements = ()

    def __init__(self, classifier: PyTorchClassifier | None = None) -> None:
        super().__init__(estimator=classifier)

    def generate(self, x: FloatImages, y: object | None = None) -> FloatImages:
        """Protected images (n, c, h, w), floats in [0, 1]; `x` is not modified, `y` not used.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1].
        """
        return self._run(check_images(x))

    def _run(self, x: FloatImages) -> FloatImages:
        """The attack on checked images, into a new array."""
        raise NotImplementedError
