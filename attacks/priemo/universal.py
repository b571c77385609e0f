"""Scopes universal and class: one perturbation for all images, or one for each emotion.

An array u in the metric of the budget; each image scales it with its own map M (geometry.py), which
needs neither gradient nor label. Without a floor M is eps, and the perturbation is one array, added
and clipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import torch
from rich.progress import track
from torch import Tensor, nn

from priemo_bench.attacks.base import require_number
from priemo_bench.attacks.priemo.attack import LATER, PriEMO, SharedParams
from priemo_bench.attacks.priemo.fitted import FitSet, FittedPriEMO
from priemo_bench.attacks.priemo.geometry import rms
from priemo_bench.attacks.priemo.input_transforms import input_diversity
from priemo_bench.attacks.priemo.objective import Objective, sigmoid_penalty
from priemo_bench.attacks.priemo.quantisation import perturb_quantised
from priemo_bench.attacks.serialization import noise_array
from priemo_bench.attacks.surrogate import input_gradient
from priemo_bench.contracts.attack import Scope
from priemo_bench.contracts.image import FloatImages
from priemo_bench.contracts.storage import Tensors
from priemo_bench.quality.budget import Budget

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier

PASSES, LEAST_STEPS = 15, 450
"""Passes over the fit images, and training steps where images are few, unless `steps` is given."""
LEARNING_RATE, LAST_RATE = 0.1, 0.1
"""Of Adam, in radii of the feasible set, and its final share after linear decay."""


class UniversalPriEMO(FittedPriEMO):
    """Scope universal: one perturbation for all images, by Adam on augmented mini-batches.

    Random augmentation prevents overfitting to the fit faces and gives invariance to alignment.

    Args:
        classifier, scope, shared: as for `PriEMO`.
        steps: passes over the fit images. None: 15, or as many as make 450 mini-batches where
            images are few.
        diversity: probability in [0, 1] that a fit image is augmented (rotated, resized, shifted,
            mirrored).
        sharpness: distance uphill, in radii of the feasible set, at which the gradient is taken
            (sharpness-aware minimisation, Foret et al. 2021, eq. 2 and 3), at two passes a step;
            0 takes it at the perturbation.
        balance: exponent in [0, 1] of the inverse number of faces of an emotion in the loss, from
            0 (all faces have one weight) to 1 (all emotions have).

    Raises:
        PriemoError: a parameter out of range.

    Example:
        >>> from priemo_bench.attacks import UniversalPriEMO
        >>> from priemo_bench.testing import toy_classifier, toy_faces
        >>> attack = UniversalPriEMO(toy_classifier(), steps=2, random_state=0, verbose=False)
        >>> attack.fit(*toy_faces(28)).noise.shape
        (1, 1, 32, 32)
        >>> x, _ = toy_faces(7, seed=1)
        >>> attack.apply(x).shape
        (7, 1, 32, 32)
    """

    scope: Scope = "universal"
    attack_params = [*PriEMO.attack_params, "steps", "diversity", "sharpness", "balance"]

    def __init__(
        self,
        classifier: PyTorchClassifier | None,
        scope: Scope | None = None,
        *,
        steps: int | None = None,
        diversity: float = 1.0,
        sharpness: float = 0.0,
        balance: float = 0.0,
        **shared: Unpack[SharedParams],
    ) -> None:
        super().__init__(classifier, scope, **shared)
        self.steps = steps
        self.diversity = diversity
        self.sharpness = sharpness
        self.balance = balance
        self._u: Tensor | None = None
        self._check_params()

    @property
    def noise(self) -> FloatImages | None:
        """(1 or classes, c, h, w) universal perturbation, or None before `fit`.

        Without a floor it is what is added. With one, it is in units of the budget's metric, and
        each image scales it (`scale_map`).
        """
        if self._u is None:
            return None
        scale = 1.0 if self.budget.floor is not None else float(self.eps or 0)
        noise: FloatImages = (self._u * scale).cpu().numpy()
        return noise

    @property
    def _n_groups(self) -> int:
        return 1

    def _penalty(self, margins: Tensor) -> Tensor:
        return sigmoid_penalty(margins)

    def _n_steps(self, n: int) -> int:
        if self.steps is not None:
            return super()._n_steps(n)
        return max(LEAST_STEPS, PASSES * n // self._batch(n))

    def _train(self, data: FitSet, objective: Objective) -> None:
        size, steps = self._batch(len(data.x)), self._n_steps(len(data.x))
        generator = torch.Generator().manual_seed(self.random_state or 0)
        u = nn.Parameter(data.x.new_zeros(self._n_groups, *data.x.shape[1:]))
        optimizer = torch.optim.Adam([u], LEARNING_RATE, betas=(0.9, 0.99), eps=1e-12)
        order = torch.empty(0, dtype=torch.long)
        for step in track(range(steps), "Pri-EMO", disable=not self.verbose, transient=True):
            if len(order) < size:
                order = torch.cat([order, torch.randperm(len(data.x), generator=generator)])
            rows, order = order[:size].to(u.device), order[size:]
            faces = input_diversity(data.x[rows], self.diversity, generator)
            batch = FitSet(faces, data.labels[rows], data.groups[rows], data.weights[rows])
            u.grad = self._gradient(u, batch, objective)
            if self.sharpness:
                uphill = self.sharpness * u.grad / rms(u.grad).clamp_min(1e-20)
                u.grad = self._gradient(u + uphill, batch, objective)
            before = u.detach().clone()
            decay = 1 - (1 - LAST_RATE) * (step + 1) / steps
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * decay
            optimizer.step()
            moved = torch.zeros(len(u), 1, 1, 1, dtype=torch.bool, device=u.device)
            moved[batch.groups] = True  # Adam's momentum moves groups without a face too
            with torch.no_grad():
                u.copy_(project(torch.where(moved, u, before), self.budget))
        self._u = u.detach()

    def _gradient(self, u: Tensor, batch: FitSet, objective: Objective) -> Tensor:
        """Of the mean weighted loss, at perturbations u (groups, c, h, w)."""
        u = u.detach().requires_grad_()
        protected = perturb_quantised(batch.x, u[batch.groups], self.budget)
        loss = (objective(protected, batch.labels)[0] * batch.weights).mean()
        return input_gradient(loss, u)

    def _normalised(self, x: Tensor, groups: Tensor) -> Tensor:
        assert self._u is not None
        return self._u if len(self._u) == 1 else self._u[groups]

    @property
    def _image_shape(self) -> tuple[int, ...] | None:
        return None if self._u is None else tuple(self._u.shape[1:])

    def _forget(self, changed: set[str]) -> None:
        super()._forget(changed)
        if changed - LATER:
            self._u = None

    def _state(self) -> tuple[Tensors, str]:
        tensors, image = super()._state()
        if self._u is None:
            return tensors, image
        return {**tensors, "u": self._u.cpu().numpy()}, "x".join(map(str, self._u.shape[1:]))

    def _restore(self, tensors: Tensors, image: str) -> None:
        super()._restore(tensors, image)
        u = torch.from_numpy(noise_array(tensors, "u", image)).to(self._device)
        if self.estimator is not None and len(u) != self._n_groups:
            raise ValueError(f"it holds {len(u)} perturbations")
        if not torch.allclose(u, project(u, self.budget), atol=1e-5):
            raise ValueError("its perturbation exceeds its budget")
        self._u = u

    def _check_params(self) -> None:
        super()._check_params()
        require_number(self, "diversity", high=1)
        require_number(self, "sharpness")


class ClassPriEMO(UniversalPriEMO):
    """Scope class: one universal perturbation for each emotion of the original.

    `apply` takes the emotions from its labels or, without labels or targeted, from the predictions
    of the surrogates. Parameters as for `UniversalPriEMO`.

    Example:
        >>> from priemo_bench.attacks import ClassPriEMO
        >>> from priemo_bench.testing import toy_classifier, toy_faces
        >>> attack = ClassPriEMO(toy_classifier(), steps=2, random_state=0, verbose=False)
        >>> attack.fit(*toy_faces(28)).noise.shape
        (7, 1, 32, 32)
    """

    scope: Scope = "class"

    @property
    def _n_classes(self) -> int:
        return super()._n_classes if self._u is None else len(self._u)

    @property
    def _n_groups(self) -> int:
        return self._n_classes

    def _fit_groups(self, labels: Tensor, emotions: Tensor) -> Tensor:
        return emotions

    def _groups(self, x: Tensor, y: object | None) -> Tensor:
        if y is None or self.targeted:
            return self._predict(x).cpu()
        return self._labels(y, x)


def project(u: Tensor, budget: Budget) -> Tensor:
    """Perturbations (groups, c, h, w) projected onto the feasible set, of radius 1."""
    if budget.floor is None:
        return u.clamp(-1, 1)
    return u / rms(u).clamp_min(1)
