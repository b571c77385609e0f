"""Pri-EMO as an ART evasion attack: one front for its scopes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from rich.progress import track
from torch import Tensor

from priemo_bench.attacks.base import FittedAttack
from priemo_bench.attacks.priemo import generator
from priemo_bench.attacks.priemo import serialization as store
from priemo_bench.attacks.priemo import universal as shared
from priemo_bench.attacks.priemo.generator import Generator
from priemo_bench.attacks.priemo.image import Descent, protect
from priemo_bench.attacks.priemo.objective import Distance, Loss, Objective, Weighting
from priemo_bench.attacks.priemo.params import DIVERSITY, STEPS, Scope, check, mini_batches
from priemo_bench.attacks.priemo.universal import Pattern
from priemo_bench.attacks.surrogate import Layers, Surrogate, reading
from priemo_bench.contracts.image import EMOTIONS, FloatImages, check_images, publish, to_float
from priemo_bench.errors import PriemoError
from priemo_bench.quality.budget import Budget

MINI_BATCH = 32
"""Faces that a step of a fit looks at, at most."""


class PriEMO(FittedAttack):
    """Feature-space protection of the emotion in a face, after Zeng et al. 2023.

    Zeng, Zhang, Liu, Ma, Liu: "Pri-EMO: a universal perturbation method for privacy preserving
    facial emotion recognition", Journal of Information and Intelligence 1(4), 2023, doi
    10.1016/j.jiixd.2023.08.001. Only the abstract is public; objective (objective.py), budget
    (geometry.py) and optimiser (image.py, shared.py) are this project's own.

    Args:
        classifier: ART `PyTorchClassifier` with clip values (0, 1); the first surrogate.
        scope: "image": one perturbation per image, aimed at all surrogates; "class": one per
            emotion of the original; "universal": one for all images; "generator": a network
            that makes one for each image in one pass (generator.py).
        targeted: as in ART, `y` are then the emotions to be read.
        ssim_floor: SSIM that every published image keeps (both means), or None.
        eps: largest change of a pixel in (0, 1], or None. A floor or a cap is needed.
        psnr_floor: PSNR in dB that every published image keeps, where ssim_floor is None. Steps
            are then steepest in L2.
        surrogates: further PyTorchClassifiers to look into.
        layer: submodule whose output are the features, or several; None finds them (see
            `Surrogate`).
        loss: "feature" (cosine margins to the universal feature vectors), "logit", or "both".
        distance: of features: "cosine", or "whitened" (cosine after whitening; objective.py).
        weighting: of surrogates: their "sum", or for each image the "worst".
        confidence: how far beyond the boundary an image is pushed, in margins of a clean face
            (scopes image and generator).
        steps: passes per image (scope image), or passes over the fit images (other scopes). None:
            25 for scope image, 100 for generator, 15 for class and universal, or as many as make
            450 mini-batches where faces are few.
        restarts: times that an image starts again towards another emotion while a surrogate still
            reads its own (scope image). Targeted, what is missed takes one longer descent, or none
            for 0.
        momentum: of the descent, in [0, 1) (scope image).
        diversity: chance in [0, 1] that an image is altered before a step reads it (views.py).
            Scope image alters what it has protected so far: for recognisers that are no
            surrogates, at some cost on those that are. Scopes class and universal alter the faces
            they learn from, for faces they never see. None: 0 for scope image, 1 for those two.
        translation: standard deviation in pixels of a blur of the gradients, 0 for none (scope
            image; views.py).
        sharpness: how far uphill the gradient is taken, 0 for where the perturbation is (scopes
            class and universal; shared.py). Above 0 a step costs two passes.
        balance: how far emotions count alike in what is fitted, from 0 (each face does) to 1 (each
            emotion does, as in the macro protection rate); shared scopes.
        delta: `converged` when the fooling rate on the fit images is above 1 - delta.
        batch_size: images read at once; a step of a fit takes MINI_BATCH of them at most.
        random_state: seed of the mini-batches and of the generator's first weights.

    Raises:
        PriemoError: for parameters outside these ranges.
    """

    attack_params = [
        *EvasionAttack.attack_params,
        "scope", "targeted", "ssim_floor", "eps", "psnr_floor", "surrogates", "layer", "loss",
        "distance", "weighting", "confidence", "steps", "restarts", "momentum", "diversity",
        "translation", "sharpness", "balance", "delta", "batch_size", "random_state", "verbose",
    ]  # fmt: skip

    def __init__(
        self,
        classifier: Any,
        scope: Scope = "class",
        targeted: bool = False,
        ssim_floor: float | None = 0.997,
        eps: float | None = 8 / 255,
        surrogates: tuple[Any, ...] = (),
        layer: Layers = None,
        loss: Loss = "both",
        distance: Distance = "cosine",
        weighting: Weighting = "sum",
        confidence: float = 0.5,
        steps: int | None = None,
        restarts: int = 6,
        momentum: float = 0.75,
        diversity: float | None = None,
        translation: float = 0.0,
        sharpness: float = 0.0,
        balance: float = 0.0,
        delta: float = 0.2,
        batch_size: int = 64,
        random_state: int | None = None,
        verbose: bool = True,
        psnr_floor: float | None = None,
    ) -> None:
        super().__init__(estimator=classifier)
        self.scope = scope
        self._targeted = targeted
        self.ssim_floor = ssim_floor
        self.eps = eps
        self.psnr_floor = psnr_floor
        self.surrogates = tuple(surrogates)
        self.layer = layer
        self.loss = loss
        self.distance = distance
        self.weighting = weighting
        self.confidence = confidence
        self.steps = steps
        self.restarts = restarts
        self.momentum = momentum
        self.diversity = diversity
        self.translation = translation
        self.sharpness = sharpness
        self.balance = balance
        self.delta = delta
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose
        self.fooling_rate: float | None = None
        self._carrier: Pattern | Generator | None = None
        self._objective: Objective | None = None
        self._check_params()

    @property
    def budget(self) -> Budget:
        """What every published image keeps."""
        return Budget.of(self.ssim_floor, self.eps, self.psnr_floor)

    @property
    def noise(self) -> np.ndarray | None:
        """(1 or classes, c, h, w) shared perturbation; with a floor in units of its metric.

        With a floor each image weighs it (geometry.py); without one it is what is added. None
        before `fit`, and for scopes image and generator.
        """
        if not isinstance(self._carrier, Pattern):
            return None
        scale = 1.0 if self.budget.floor is not None else float(self.eps or 0)
        return (self._carrier.u * scale).cpu().numpy()

    @property
    def converged(self) -> bool:
        """Whether the perturbation fools more than 1 - delta of the fit images."""
        return self.fooling_rate is not None and self.fooling_rate >= 1 - self.delta

    def fit(self, x: np.ndarray, y: np.ndarray | None = None) -> PriEMO:
        """Learn the universal feature vectors, and for shared scopes the perturbation.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1]. y: labels (n,) or one-hot, targets if
                targeted; None takes what the surrogates read.
        """
        x = check_images(x)
        objective = self._new_objective()
        images = torch.from_numpy(x).to(objective.surrogates[0].device)
        read = objective.learn(images.split(self.batch_size)).argmax(1)
        labels = self._labels(y, len(x), read)
        objective.check(labels)
        self._objective = objective
        if self.scope == "image":
            return self
        groups, count = self._groups(labels, read)
        batch = min(self.batch_size, MINI_BATCH, len(x))
        steps = mini_batches(self.scope, self.steps, len(x), batch)
        emphasis = _emphasis(read if self.targeted else labels, self.balance)
        seed = self.random_state or 0
        if self.scope == "generator":
            self._carrier = generator.learn(
                images, labels, objective, self.budget, steps, batch, emphasis, seed, self.verbose
            )
        else:
            self._carrier = shared.learn(
                images, labels, groups, count, objective, self.budget, steps, batch,
                self._diversity, self.sharpness, emphasis, torch.Generator().manual_seed(seed),
                self.verbose,
            )  # fmt: skip
        protected = torch.from_numpy(self.apply(x, groups.cpu().numpy() if count > 1 else None))
        now = self._read(protected.to(images.device))
        hit = now == labels if self.targeted else now != read
        self.fooling_rate = float(hit.float().mean())
        return self

    def apply(self, x: np.ndarray, y: np.ndarray | None = None) -> FloatImages:
        """Add the fitted perturbation: no gradient.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1]. y: the emotion of each original, for scope
                class only; None, or targeted, takes what the surrogates read.

        Returns:
            float32 images of the same shape; on the 8-bit grid when there is a floor.
        """
        x = check_images(x)
        if self._carrier is None:
            raise PriemoError("apply() needs a fitted perturbation; scope image has none to fit")
        wanted = self._carrier.shape
        if x.shape[1 : 1 + len(wanted)] != wanted:
            raise PriemoError(f"x has images of {x.shape[1:]}; the perturbation is for {wanted}")
        groups = np.zeros(len(x), np.int64)
        if self.scope == "class":
            groups = self._emotions(x, y)
        starts = range(0, len(x), self.batch_size)
        parts = [slice(start, start + self.batch_size) for start in starts]
        return np.concatenate(
            [shared.add(x[p], self._carrier, groups[p], self.budget) for p in parts]
        )

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> FloatImages:
        """Protected images, floats in [0, 1]; `x` is not modified.

        Scope image optimises each image (on the 8-bit grid) with the vectors of `fit`, or of `x`
        when there was none. Other scopes fit on `x` unless fitted, and apply.
        """
        x = check_images(x)
        if self.scope != "image":
            return (self if self._carrier is not None else self.fit(x, y)).apply(x, y)
        if self._objective is None:
            self.fit(x, y)
        objective = self._objective
        assert objective is not None
        device = objective.surrogates[0].device
        images = torch.from_numpy(to_float(publish(x))).to(device)
        labels = self._labels(y, len(x), None if y is not None else self._read(images))
        objective.check(labels)
        how = Descent(
            self.steps or STEPS["image"], self.restarts, self.momentum, self._diversity,
            self.translation, self.random_state or 0,
        )  # fmt: skip
        parts = list(zip(images.split(self.batch_size), labels.split(self.batch_size), strict=True))
        done = [
            protect(part, own, objective, self.budget, how).cpu().numpy()
            for part, own in track(parts, "Pri-EMO", disable=not self.verbose, transient=True)
        ]
        return np.concatenate(done)

    def save(self, path: str | Path) -> None:
        """Write what was fitted as safetensors, with what is needed to use it again."""
        store.save(self, Path(path))

    @classmethod
    def load(cls, path: str | Path, classifier: Any = None, **params: Any) -> PriEMO:
        """Read what `save` wrote. Scopes universal and generator apply without a classifier."""
        return store.load(cls, Path(path), classifier, **params)

    @property
    def _diversity(self) -> float:
        return DIVERSITY[self.scope] if self.diversity is None else self.diversity

    @property
    def _classes(self) -> int:
        if self.estimator is not None:
            return int(self.estimator.nb_classes)
        shared_by = len(self._carrier.u) if isinstance(self._carrier, Pattern) else 1
        return shared_by if shared_by > 1 else len(EMOTIONS)

    def _open(self) -> list[Surrogate]:
        if self.estimator is None:
            raise PriemoError("this needs a classifier: load(path, classifier)")
        return [Surrogate(c, self.layer) for c in (self.estimator, *self.surrogates)]

    def _new_objective(self) -> Objective:
        return Objective(
            self._open(), self.loss, self.targeted, self.scope in ("class", "universal"),
            self.distance, self.weighting, self.confidence,
        )  # fmt: skip

    def _read(self, x: Tensor) -> Tensor:
        """(n,) what the surrogates together read."""
        surrogates = self._objective.surrogates if self._objective else self._open()
        return reading(surrogates, x, self.batch_size)

    def _labels(self, y: np.ndarray | None, n: int, read: Tensor | None) -> Tensor:
        given = self._given(y, n, self._classes)
        if given is None:
            assert read is not None
            return read
        device = self._objective.surrogates[0].device if self._objective else None
        return torch.from_numpy(given).to(read.device if read is not None else device or "cpu")

    def _groups(self, labels: Tensor, read: Tensor) -> tuple[Tensor, int]:
        if self.scope != "class":
            if self.targeted and len(labels.unique()) > 1:
                raise PriemoError(f"scope {self.scope} learns one target: give the same for all")
            return torch.zeros_like(labels), 1
        return (read if self.targeted else labels), self._classes

    def _emotions(self, x: FloatImages, y: np.ndarray | None) -> np.ndarray:
        if y is None or self.targeted:
            device = self._open()[0].device
            return self._read(torch.from_numpy(x).to(device)).cpu().numpy()
        return self._labels(y, len(x), None).cpu().numpy()

    def _check_params(self) -> None:
        check(self)


def _emphasis(emotions: Tensor, balance: float) -> Tensor:
    """(n,) emotions to weights of mean 1: to the power -balance of how many faces show each."""
    _, which, counts = emotions.unique(return_inverse=True, return_counts=True)
    weights = counts[which].float() ** -balance
    return weights / weights.mean()
