"""Base of attacks on recognisers that are no surrogates: momentum steps along a paper's direction.

Dong et al., "Boosting adversarial attacks with momentum", CVPR 2018, arXiv:1710.06081, eqs. 6, 7:
g <- decay g + d / mean|d|, x <- clip(x + step sign(g)). What tells the attacks apart is the
direction d: for MI-FGSM the gradient; each paper here has another, in a file of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypedDict

import torch
from art.attacks.attack import EvasionAttack
from art.estimators.classification import PyTorchClassifier
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

from priemo_bench.attacks.base import (
    GradientAttack,
    as_surrogates,
    require_bool,
    require_eps,
    require_int,
    require_number,
)
from priemo_bench.attacks.losses import LOSSES, LossName, clip
from priemo_bench.attacks.surrogate import (
    Surrogate,
    input_gradient,
    open_surrogates,
    predict_ensemble,
)
from priemo_bench.contracts.attack import EPS_GRID, Traits
from priemo_bench.contracts.image import FloatImages, check_images
from priemo_bench.contracts.predict import margin
from priemo_bench.registry import unknown

TRAITS = Traits("per-image", "image", "many", True, "eps", EPS_GRID)
RANDOM = replace(TRAITS, random=True)


@dataclass
class Descent:
    """One batch of images on their way.

    Attributes:
        x: (n, c, h, w) originals in [0, 1]. y: (n,) labels, or targets.
        surrogates: to be attacked together.
        sign: 1, or -1 for targets: gradients are of `sign` times the loss, to be ascended.
        eps, step: linf bound and size of a step.
        generator: of all that is random.
        memory: what a direction keeps from step to step.
    """

    x: Tensor
    y: Tensor
    surrogates: list[Surrogate]
    loss: str
    sign: int
    eps: float
    step: float
    generator: torch.Generator
    memory: dict[str, Any] = field(default_factory=dict)

    def losses(self, logits: Tensor) -> Tensor:
        """(n,) of logits (n, k): what a step is to make larger."""
        if self.loss == "margin":
            return -self.sign * margin(logits, self.y)
        return self.sign * cross_entropy(logits, self.y, reduction="none")

    def gains(self, logits: Tensor) -> Tensor:
        """(n,) of logits (n, k): above 0, and the larger the larger `losses` are.

        The cross-entropy itself where it is ascended; the softplus of `losses` for the margin (then
        the cross-entropy between the label and the next class) and for targets.
        """
        losses = self.losses(logits)
        return losses if self.loss == "cross_entropy" and self.sign > 0 else softplus(losses)

    def logits(self, z: Tensor, surrogates: list[Surrogate] | None = None) -> Tensor:
        """(n, k) mean logits of points (n, c, h, w), which are clipped to [0, 1] first."""
        outputs = [surrogate(clip(z))[1] for surrogate in surrogates or self.surrogates]
        return torch.stack(outputs).mean(0)

    def gradient(
        self,
        z: Tensor,
        surrogates: list[Surrogate] | None = None,
        view: Callable[[Tensor], Tensor] = lambda z: z,
    ) -> Tensor:
        """(n, c, h, w) at points, one for each image, of `losses` of the mean logits of a view."""
        z = z.detach().requires_grad_()
        return input_gradient(self.losses(self.logits(view(z), surrogates)), z).detach()

    def inside(self, z: Tensor) -> Tensor:
        """Points clipped to eps around the originals, and to [0, 1]."""
        return torch.minimum(torch.maximum(z, self.x - self.eps), self.x + self.eps).clamp(0, 1)

    def uniform(self, like: Tensor, radius: float = 1.0) -> Tensor:
        """Random numbers from -radius to radius, in the shape of `like`."""
        drawn = torch.rand(like.shape, generator=self.generator, dtype=like.dtype)
        return (drawn.to(like.device) * 2 - 1) * radius

    def integer(self, low: int, high: int) -> int:
        """A random whole number from `low` to `high`, both included."""
        return int(torch.randint(low, high + 1, (1,), generator=self.generator))


class Common(TypedDict, total=False):
    """Parameters that all have; see `TransferAttack`."""

    eps: float
    targeted: bool
    surrogates: tuple[PyTorchClassifier, ...]
    steps: int
    step_size: float | None
    decay: float
    loss: LossName
    batch_size: int
    random_state: int | None


class TransferAttack(GradientAttack):
    """Base of these attacks. Subclasses implement `direction`, and name further parameters.

    Args:
        classifier: ART `PyTorchClassifier` with clip values (0, 1); the first surrogate.
        eps: linf bound in (0, 1].
        targeted: as in ART, `y` then holds the targets.
        surrogates: further PyTorchClassifiers, attacked together with the first.
        steps: of `step_size` each, on the scale of [0, 1] images; None is `stride` eps / steps.
        decay: of the momentum, from 0 (none).
        loss: "cross_entropy", or "margin", the logit margin.
        random_state: seed of all that is random.

    Raises:
        PriemoError: a parameter out of range.
    """

    attack_params = [
        *EvasionAttack.attack_params,
        "eps", "targeted", "surrogates", "steps", "step_size", "decay", "loss", "batch_size",
        "random_state",
    ]  # fmt: skip
    traits: ClassVar[Traits] = RANDOM
    stride: ClassVar[float] = 1.0

    def __init__(
        self,
        classifier: PyTorchClassifier,
        eps: float = 8 / 255,
        targeted: bool = False,
        surrogates: tuple[PyTorchClassifier, ...] = (),
        steps: int = 10,
        step_size: float | None = None,
        decay: float = 1.0,
        loss: LossName = "cross_entropy",
        batch_size: int = 64,
        random_state: int | None = None,
    ) -> None:
        super().__init__(estimator=classifier)
        self.eps = eps
        self._targeted = targeted
        self.surrogates = as_surrogates(surrogates)
        self.steps = steps
        self.step_size = step_size
        self.decay = decay
        self.loss = loss
        self.batch_size = batch_size
        self.random_state = random_state
        self._check_params()

    def direction(self, z: Tensor, descent: Descent) -> Tensor:
        """(n, c, h, w) along which the iterates `z` are to be moved, of any size."""
        raise NotImplementedError

    def generate(self, x: FloatImages, y: object | None = None) -> FloatImages:
        """Protected images (n, c, h, w), within eps of `x` and [0, 1].

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1], not modified.
            y: labels (n,) or one-hot, the targets if targeted; None takes the clean predictions.
        """
        x = check_images(x)
        surrogates = open_surrogates(self.estimator, self.surrogates)
        given = self._check_y(y, len(x), surrogates[0].classes)
        images = torch.tensor(x, device=surrogates[0].device)
        if given is None:
            labels = predict_ensemble(surrogates, images, self.batch_size)
        else:
            labels = torch.from_numpy(given).to(images.device)
        generator = torch.Generator()
        if self.random_state is None:
            generator.seed()
        else:
            generator.manual_seed(int(self.random_state))
        size = self.batch_size
        batches = zip(torch.split(images, size), torch.split(labels, size), strict=True)
        done = [self._run(self._descent(*batch, surrogates, generator)) for batch in batches]
        return torch.cat(done).cpu().numpy()

    def _descent(
        self, x: Tensor, y: Tensor, surrogates: list[Surrogate], generator: torch.Generator
    ) -> Descent:
        step = self.step_size or self.stride * self.eps / self.steps
        sign = -1 if self.targeted else 1
        return Descent(x, y, surrogates, self.loss, sign, self.eps, step, generator)

    def _run(self, descent: Descent) -> Tensor:
        z, momentum = descent.x, torch.zeros_like(descent.x)
        for _ in range(self.steps):
            momentum = self.decay * momentum + scaled(self.direction(z, descent))
            z = descent.inside(z + descent.step * momentum.sign())
        return z

    def _check_params(self) -> None:
        require_eps(self.eps)
        require_bool(self, "targeted")
        require_int(self, "steps", "batch_size")
        if self.step_size is not None:
            require_number(self, "step_size", low=1e-6, high=1.0)
        require_number(self, "decay")
        if self.loss not in LOSSES:
            raise unknown("losses", str(self.loss), LOSSES)


def scaled(gradient: Tensor) -> Tensor:
    """Each image's gradient over its mean absolute value; zero where that is zero."""
    size: Tensor = gradient.abs().mean((1, 2, 3), keepdim=True)
    return gradient / size.clamp_min(1e-12)
