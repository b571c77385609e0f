"""What the attacks of this package share: checks, labels, seeds, and a base without a model."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from art.estimators.classification.classifier import ClassifierMixin
from art.estimators.estimator import BaseEstimator, LossGradientsMixin

from priemo_bench.contracts.attack import Traits
from priemo_bench.contracts.image import FloatImages, Labels, check_images
from priemo_bench.errors import PriemoError, require


def require_whole(attack: object, *names: str, low: int = 1) -> None:
    """PriemoError unless these attributes are whole numbers from `low`."""
    for name in names:
        value = getattr(attack, name)
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= low
        require(whole, name, value, f"a whole number from {low}")


def require_truth(attack: object, *names: str) -> None:
    """PriemoError unless these attributes are True or False."""
    for name in names:
        value = getattr(attack, name)
        require(isinstance(value, bool), name, value, "True or False")


def require_eps(eps: float) -> None:
    """PriemoError unless `eps` is a perturbation size on the scale of [0, 1] images."""
    require(0 < eps <= 1, "eps", eps, "in (0, 1] (8 grey levels are 8/255)")


def as_labels(y: object, n: int, classes: int) -> Labels:
    """`y` as (n,) labels.

    Args:
        y: (n,) or (n, 1) whole numbers from 0 to classes - 1, or (n, classes) one-hot.

    Raises:
        PriemoError: another shape, or labels that do not exist.
    """
    array = np.asarray(y)
    if array.shape == (n, classes) and classes > 1:
        return array.argmax(1).astype(np.int64)
    whole = array.size == n and np.array_equal(array, np.rint(array))
    if not whole or array.min() < 0 or array.max() >= classes:
        raise PriemoError(
            f"y has shape {array.shape}; it must be {n} labels from 0 to {classes - 1}, or one-hot"
        )
    return array.reshape(n).astype(np.int64)


@contextmanager
def seeded(random_state: int | None) -> Iterator[None]:
    """Seed the global generators of Python, NumPy and torch inside, and put them back after.

    For attacks of others that draw from them. None leaves them alone.
    """
    if random_state is None:
        yield
        return
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng():
        random.seed(random_state)
        np.random.seed(random_state)  # noqa: NPY002
        torch.manual_seed(random_state)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


class AimedAttack(EvasionAttack):
    """An attack that may be `targeted`, which ART reads and sets among `attack_params`.

    Subclasses set `_targeted` in their constructor.
    """

    _estimator_requirements = (BaseEstimator, LossGradientsMixin, ClassifierMixin)
    _targeted: bool

    @property
    def targeted(self) -> bool:
        """Whether `y` are the emotions to be read, and not those to be left."""
        return self._targeted

    @targeted.setter
    def targeted(self, value: bool) -> None:
        self._targeted = value

    def _given(self, y: object | None, n: int, classes: int) -> Labels | None:
        """`y` as (n,) labels or targets; None for labels that are to be read.

        Raises:
            PriemoError: labels that do not exist, or no targets for a targeted attack.
        """
        if y is None and self.targeted:
            raise PriemoError("a targeted attack needs the targets as y")
        return None if y is None else as_labels(y, n, classes)


class FittedAttack(AimedAttack):
    """An attack that is fitted once, saved, and then applied, also without a classifier."""

    @classmethod
    def is_estimator_valid(cls, estimator: Any, estimator_requirements: Any) -> bool:
        """As in ART; None is for `load` without a classifier, which then can only `apply`."""
        return estimator is None or super().is_estimator_valid(estimator, estimator_requirements)


class ModelFreeAttack(EvasionAttack):
    """An attack that looks into no classifier: `None` may stand in its place.

    Subclasses set `traits` and `attack_params`, and implement `protect`.
    """

    traits: ClassVar[Traits]
    _estimator_requirements = ()

    def __init__(self, classifier: Any = None) -> None:
        super().__init__(estimator=classifier)

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> FloatImages:
        """(n, 1 or 3, h, w) floats in [0, 1] to protected images; `y` is not looked at."""
        return self.protect(check_images(x))

    def protect(self, x: FloatImages) -> FloatImages:
        """Checked images to protected ones, in a new array."""
        raise NotImplementedError
