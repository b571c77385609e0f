"""DDN: a minimum-norm attack that decouples the direction and the norm of the perturbation.

Rony, Hafemann, Oliveira, Ben Ayed, Sabourin & Granger, "Decoupling direction and norm for efficient
gradient-based l2 adversarial attacks and defenses", CVPR 2019, arXiv:1811.09600, algorithm 1: steps
along the normalised gradient of the cross-entropy, each followed by a projection onto an l2 sphere,
whose radius shrinks by GAMMA where the image is adversarial and grows by it where not; the smallest
adversarial perturbation on the 8-bit grid is returned. The linf bound is an addition.
"""

from __future__ import annotations

import math

import torch
from art.attacks.attack import EvasionAttack
from art.estimators.classification import PyTorchClassifier
from torch import Tensor
from torch.nn.functional import cross_entropy

from priemo_bench.attacks.base import GradientAttack, require_bool, require_eps, require_int
from priemo_bench.attacks.surrogate import Surrogate, input_gradient, predict_ensemble
from priemo_bench.contracts.attack import EPS_GRID, Traits
from priemo_bench.contracts.image import FloatImages, check_images

GAMMA = 0.05
FIRST_STEP, LAST_STEP = 1.0, 0.01
FIRST_RADIUS = 1.0


class DDN(GradientAttack):
    """Minimum-norm attack on one classifier; images without a success keep the last iterate.

    Args:
        classifier: ART `PyTorchClassifier` with clip values (0, 1).
        eps: linf bound in (0, 1].
        targeted: as in ART, `y` then holds the targets.
        steps: forward and backward passes per image.

    Raises:
        PriemoError: a parameter out of range.

    Example:
        >>> from priemo_bench.attacks.ddn import DDN
        >>> from priemo_bench.testing import toy_classifier, toy_faces
        >>> classifier, (x, y) = toy_classifier(), toy_faces()
        >>> protected = DDN(classifier, eps=24 / 255, steps=40).generate(x)
        >>> float((classifier.predict(protected).argmax(1) != y).mean())
        1.0
    """

    traits = Traits("per-image", "image", "one", True, "eps", EPS_GRID)
    attack_params = [
        *EvasionAttack.attack_params, "eps", "targeted", "steps", "batch_size",
    ]  # fmt: skip

    def __init__(
        self,
        classifier: PyTorchClassifier,
        eps: float = 8 / 255,
        targeted: bool = False,
        steps: int = 50,
        batch_size: int = 64,
    ) -> None:
        super().__init__(estimator=classifier)
        self.eps = eps
        self._targeted = targeted
        self.steps = steps
        self.batch_size = batch_size
        self._check_params()

    def generate(self, x: FloatImages, y: object | None = None) -> FloatImages:
        """Protected images (n, c, h, w), on the 8-bit grid where eps is at least 1/255.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1], not modified.
            y: labels (n,) or one-hot, the targets if targeted; None takes the clean predictions.
        """
        x = check_images(x)
        surrogate = Surrogate(self.estimator)
        given = self._check_y(y, len(x), surrogate.classes)
        images = torch.tensor(x, device=surrogate.device)
        if given is None:
            labels = predict_ensemble([surrogate], images, self.batch_size)
        else:
            labels = torch.from_numpy(given).to(images.device)
        size = self.batch_size
        batches = zip(torch.split(images, size), torch.split(labels, size), strict=True)
        return torch.cat([self._run(surrogate, *batch) for batch in batches]).cpu().numpy()

    def _run(self, surrogate: Surrogate, x: Tensor, y: Tensor) -> Tensor:
        sign = 1 if self.targeted else -1
        bound = math.floor(self.eps * 255 + 1e-6) / 255 or self.eps
        delta = torch.zeros_like(x)
        radius = x.new_full((len(x), 1, 1, 1), FIRST_RADIUS)
        best, best_norm = x.clone(), x.new_full((len(x),), torch.inf)
        iterate = x
        for step in range(self.steps):
            adversarial = self._quantize(x + delta).requires_grad_()
            logits = surrogate(adversarial)[1]
            loss = cross_entropy(logits, y, reduction="sum")
            gradient = input_gradient(loss, adversarial)
            success = (logits.argmax(1) == y) == self.targeted
            iterate = adversarial.detach()
            norm = (iterate - x).flatten(1).norm(dim=1)
            better = success & (norm < best_norm)
            best[better], best_norm[better] = iterate[better], norm[better]
            step_size = FIRST_STEP * self._decay(step)
            delta = delta - sign * step_size * gradient / _norm(gradient)
            radius = radius * torch.where(success, 1 - GAMMA, 1 + GAMMA).view(-1, 1, 1, 1)
            delta = (delta * radius / _norm(delta)).clamp(-bound, bound)
        best[best_norm.isinf()] = iterate[best_norm.isinf()]
        return best

    def _quantize(self, x: Tensor) -> Tensor:
        """Clipped and rounded to the 8-bit grid, unless eps is below one of its levels."""
        x = x.clamp(0, 1)
        return (x * 255).round() / 255 if self.eps * 255 >= 1 else x

    def _decay(self, step: int) -> float:
        """Cosine decay from 1 to LAST_STEP / FIRST_STEP."""
        low = LAST_STEP / FIRST_STEP
        return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def _check_params(self) -> None:
        require_eps(self.eps)
        require_bool(self, "targeted")
        require_int(self, "steps", "batch_size")


def _norm(x: Tensor) -> Tensor:
    """(n, 1, 1, 1) l2 norms, at least 1e-12."""
    norms: Tensor = x.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1)
    return norms
