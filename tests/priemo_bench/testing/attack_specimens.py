"""Attacks that keep every rule, and for each rule one that breaks it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from art.attacks import EvasionAttack
from art.estimators.classification import PyTorchClassifier
from torch import Tensor

from priemo_bench.contracts.attack import Traits
from priemo_bench.contracts.image import check_images
from priemo_bench.errors import PriemoError, require

EPS = (2 / 255, 8 / 255)


class Step(EvasionAttack):
    """FGSM from a random start: keeps every rule."""

    traits = Traits("per-image", "image", "one", targeted=True, knob="eps", strengths=EPS,
                    random=True)  # fmt: skip
    attack_params = [*EvasionAttack.attack_params, "eps", "targeted", "random_state"]
    _estimator_requirements = ()

    def __init__(
        self,
        classifier: PyTorchClassifier,
        eps: float = 4 / 255,
        targeted: bool = False,
        random_state: int | None = None,
    ) -> None:
        super().__init__(estimator=classifier)
        self.eps, self._targeted, self.random_state = eps, targeted, random_state
        self._check_params()

    @property
    def targeted(self) -> bool:
        return self._targeted

    @targeted.setter
    def targeted(self, value: bool) -> None:
        self._targeted = value

    def generate(self, x: Any, y: Any = None, mask: Any = None) -> Any:
        x = check_images(x)
        labels = self._labels(x, y)
        start = np.random.default_rng(self.random_state).uniform(-1, 1, x.shape)
        moved = np.clip(x + self.eps / 2 * start, 0, 1).astype(np.float32)
        step = self._gradient(moved, labels)
        protected = x + np.clip(moved + self.eps * np.sign(step) - x, -self.eps, self.eps)
        out = np.clip(protected, 0, 1).astype(np.float32)
        return out if mask is None else np.where(np.broadcast_to(mask, x.shape) > 0, out, x)

    def _gradient(self, x: Any, labels: Any) -> Any:
        """That of the loss of the labels, or of minus that of the targets."""
        with torch.enable_grad():
            images = torch.tensor(x, requires_grad=True)
            loss = torch.nn.functional.cross_entropy(self.estimator.model(images), labels)
            (gradient,) = torch.autograd.grad(-loss if self.targeted else loss, images)
        return gradient.numpy()

    def _labels(self, x: Any, y: Any) -> Tensor:
        if y is None and self.targeted:
            raise PriemoError("a targeted attack needs the targets as y")
        if y is None:
            y = self.estimator.predict(x).argmax(1)
        y = np.asarray(y)
        if y.shape != (len(x),) or not np.isin(y, range(7)).all():
            raise PriemoError("y must be a class from 0 to 6 for each image")
        return torch.from_numpy(y.astype(np.int64))

    def _check_params(self) -> None:
        number = isinstance(self.eps, float | int | np.floating | np.integer)
        require(number and 0 < self.eps <= 1, "eps", self.eps, "in (0, 1]")


class Unchanged(Step):
    """Takes a budget, and keeps it: nothing changes."""

    traits = Traits("control", budgeted=True)
    attack_params = [*EvasionAttack.attack_params, "ssim_floor", "eps", "psnr_floor"]

    def __init__(
        self,
        classifier: Any = None,
        ssim_floor: float | None = 0.99,
        eps: float | None = 4 / 255,
        psnr_floor: float | None = None,
    ) -> None:
        EvasionAttack.__init__(self, estimator=classifier)
        self.ssim_floor, self.eps, self.psnr_floor = ssim_floor, eps, psnr_floor
        self._check_params()

    def generate(self, x: Any, y: Any = None) -> Any:
        return check_images(x).copy()

    def _check_params(self) -> None:
        if self.eps is not None:
            super()._check_params()


class Shared(Step):
    """The mean gradient of the fit faces for all: keeps every rule."""

    traits = dataclasses.replace(Step.traits, family="universal", scope="universal", random=False)
    attack_params = [*EvasionAttack.attack_params, "eps", "targeted"]
    noise: Any = None

    def __init__(self, classifier: Any, eps: float = 4 / 255, targeted: bool = False) -> None:
        super().__init__(classifier, eps, targeted)
        self._fitted: Any = None

    def fit(self, x: Any, y: Any = None) -> Shared:
        x = check_images(x)
        self.noise = np.sign(self._gradient(x, self._labels(x, y)).mean(0))
        self._fitted = self.targeted
        return self

    def apply(self, x: Any, y: Any = None) -> Any:
        x = check_images(x)
        if self.noise is None or self._fitted != self.targeted:
            raise PriemoError("call fit() first")
        return np.clip(x + np.float32(self.eps) * self.noise, 0, 1).astype(np.float32)

    def generate(self, x: Any, y: Any = None) -> Any:
        if self.noise is None:
            self.fit(x, y)
        return self.apply(x, y)


class NoArtAttack:
    traits = Traits("control")

    def __init__(self, classifier: Any = None) -> None:
        pass

    def generate(self, x: Any, y: Any = None) -> Any:
        return check_images(x).copy()


class Outside(Unchanged):
    def generate(self, x: Any, y: Any = None) -> Any:
        return check_images(x) - 1


class Unseeded(Step):
    def generate(self, x: Any, y: Any = None) -> Any:
        return np.clip(x + np.random.choice((-0.01, 0.01), x.shape), 0, 1).astype(np.float32)  # noqa: NPY002


class OneSeed(Step):
    def generate(self, x: Any, y: Any = None) -> Any:
        self.random_state = 0
        return super().generate(x, y)


class OverTheBatch(Unchanged):
    def generate(self, x: Any, y: Any = None) -> Any:
        return x * (x.mean() / np.float32(1.2))


class OverBudget(Unchanged):
    def generate(self, x: Any, y: Any = None) -> Any:
        return x * np.float32(0.7)


class OneImageBeyondEps(Step):
    def generate(self, x: Any, y: Any = None) -> Any:
        out = super().generate(x, y)
        out[3, 0, 0, 0] = 1 - out[3, 0, 0, 0]
        return out


class OneStrength(Step):
    def generate(self, x: Any, y: Any = None) -> Any:
        self.eps = 1 / 255
        return super().generate(x, y)


class AwayFromTheTarget(Step):
    def _gradient(self, x: Any, labels: Any) -> Any:
        return -super()._gradient(x, labels) if self.targeted else super()._gradient(x, labels)


class InPlace(Unchanged):
    def generate(self, x: Any, y: Any = None) -> Any:
        x *= 0.9
        return x


class FromNumpy(Unchanged):
    def generate(self, x: Any, y: Any = None) -> Any:
        return torch.from_numpy(x).clone().numpy()


class TakesAll(Unchanged):
    def generate(self, x: Any, y: Any = None) -> Any:
        return np.clip(x, 0, 1).astype(np.float32)


class AnyTarget(Step):
    def _labels(self, x: Any, y: Any) -> Tensor:
        good = y is not None and np.shape(y) == (len(x),) and np.isin(y, range(7)).all()
        return super()._labels(x, y if good else np.zeros(len(x), int))


class AnyParameter(Step):
    def _check_params(self) -> None:
        pass


class SwallowsKeywords(Step):
    def generate(self, x: Any, y: Any = None, **kwargs: Any) -> Any:
        return super().generate(x, y, kwargs.get("mask"))


class IgnoresTheMask(Step):
    def generate(self, x: Any, y: Any = None, mask: Any = None) -> Any:
        return super().generate(x, y)


class PythonFloatsOnly(Step):
    def _check_params(self) -> None:
        require(type(self.eps) is float and 0 < self.eps <= 1, "eps", self.eps, "a float")


class Remembers(Step):
    def generate(self, x: Any, y: Any = None) -> Any:
        self.count = getattr(self, "count", 0) + 1
        return np.clip(x + np.float32(0.01 * self.count), 0, 1)


class RemembersTheFirstImages(Step):
    """Once fitted to the first images, for ever."""

    first: Any = None

    def generate(self, x: Any, y: Any = None) -> Any:
        if self.first is None:
            self.first = x.mean((0, 1))
        return np.clip(x + 0.1 * self.first, 0, 1).astype(np.float32)


class FirstParameters(Step):
    def generate(self, x: Any, y: Any = None) -> Any:
        if not hasattr(self, "kept"):
            self.kept = self.eps, self.targeted
        self.eps, self._targeted = self.kept
        return super().generate(x, y)


class FitOfOtherParameters(Shared):
    """`set_params(targeted=True)` after a fit leaves an untargeted perturbation."""

    def generate(self, x: Any, y: Any = None) -> Any:
        self._fitted = self.targeted
        return super().generate(x, y)


class SeedsEverything(Step):
    def generate(self, x: Any, y: Any = None) -> Any:
        torch.manual_seed(self.random_state or 0)
        return super().generate(x, y)


class TurnsGradOff(Step):
    def generate(self, x: Any, y: Any = None) -> Any:
        out = super().generate(x, y)
        torch.set_grad_enabled(False)
        return out


class TrainsTheModel(Step):
    def generate(self, x: Any, y: Any = None) -> Any:
        self.estimator.model.train()
        return super().generate(x, y)


class NeedsGradMode(Step):
    def _gradient(self, x: Any, labels: Any) -> Any:
        images = torch.tensor(x, requires_grad=True)
        loss = torch.nn.functional.cross_entropy(self.estimator.model(images), labels)
        (gradient,) = torch.autograd.grad(-loss if self.targeted else loss, images)
        return gradient.numpy()


class FailsInside(Step):
    """As attacks of ART do that are given what they cannot differentiate."""

    def generate(self, x: Any, y: Any = None) -> Any:
        return torch.zeros(3, dtype=torch.int64, requires_grad=True)


CONFORMING = {
    "attacks": (Step, Unchanged, Shared),
}
BREAKS: dict[str, dict[str, tuple[Any, ...]]] = {
    "attacks": {
        "is_an_art_attack": (NoArtAttack,),
        "keeps_the_image_contract": (Outside, FailsInside),
        "is_reproducible": (Unseeded,),
        "depends_on_its_seed": (OneSeed,),
        "is_independent_of_the_batch": (OverTheBatch,),
        "meets_its_budget": (OverBudget,),
        "keeps_every_image_within_eps": (OneImageBeyondEps,),
        "knob_changes_strength": (OneStrength,),
        "moves_towards_its_target": (AwayFromTheTarget,),
        "does_not_modify_its_input": (InPlace,),
        "takes_any_array": (FromNumpy,),
        "refuses_bad_images": (TakesAll,),
        "refuses_bad_targets": (AnyTarget,),
        "refuses_bad_parameters": (AnyParameter,),
        "refuses_unknown_keywords": (SwallowsKeywords,),
        "honours_or_refuses_a_mask": (IgnoresTheMask,),
        "takes_numpy_numbers": (PythonFloatsOnly,),
        "keeps_no_state": (Remembers, RemembersTheFirstImages),
        "set_params_takes_effect": (FirstParameters, FitOfOtherParameters),
        "leaves_global_state_alone": (SeedsEverything, TurnsGradOff),
        "leaves_the_classifier_alone": (TrainsTheModel,),
        "works_without_grad_mode": (NeedsGradMode,),
    },
}
