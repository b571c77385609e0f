"""DDN: the smallest change that is enough, direction and size apart.

Rony, Hafemann, Oliveira, Ben Ayed, Sabourin & Granger, "Decoupling direction and norm for efficient
gradient-based l2 adversarial attacks and defenses", CVPR 2019, arXiv:1811.09600, algorithm 1: steps
along the normalised gradient of the cross-entropy, each followed by a projection onto a sphere that
shrinks by GAMMA where the image is misread and grows by it where not; the smallest change found
among 8-bit images is returned. Beside the paper's l2 norm there is a cap on each pixel here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from torch import Tensor
from torch.nn.functional import cross_entropy

from priemo_bench.attacks.base import AimedAttack, require_eps, require_truth, require_whole
from priemo_bench.attacks.surrogate import Surrogate, reading
from priemo_bench.contracts.attack import EPS_GRID, Traits
from priemo_bench.contracts.image import FloatImages, check_images

GAMMA = 0.05
FIRST_STEP, LAST_STEP = 1.0, 0.01
FIRST_RADIUS = 1.0


class DDN(AimedAttack):
    """Minimum-norm attack on one classifier; images that resist keep the last change within eps.

    Args:
        classifier: ART `PyTorchClassifier` with clip values (0, 1).
        eps: largest change of a pixel in (0, 1].
        targeted: as in ART, `y` are then the emotions to be read.
        steps: forward and backward passes an image.

    Raises:
        PriemoError: for parameters outside these.
    """

    traits = Traits("per-image", "image", "one", True, "eps", EPS_GRID)
    attack_params = [
        *EvasionAttack.attack_params, "eps", "targeted", "steps", "batch_size",
    ]  # fmt: skip

    def __init__(
        self,
        classifier: Any,
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

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> FloatImages:
        """Protected images, on the 8-bit grid if eps allows a level; `x` is not modified.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1]. y: labels (n,) or one-hot, the targets if
                targeted; None takes what the classifier reads.
        """
        x = check_images(x)
        surrogate = Surrogate(self.estimator)
        given = self._given(y, len(x), surrogate.classes)
        images = torch.from_numpy(x).to(surrogate.device)
        if given is None:
            labels = reading([surrogate], images, self.batch_size)
        else:
            labels = torch.from_numpy(given).to(images.device)
        pairs = zip(images.split(self.batch_size), labels.split(self.batch_size), strict=True)
        return torch.cat([self._smallest(surrogate, *pair) for pair in pairs]).cpu().numpy()

    def _smallest(self, surrogate: Surrogate, x: Tensor, y: Tensor) -> Tensor:
        sign = 1 if self.targeted else -1
        cap = math.floor(self.eps * 255 + 1e-6) / 255 or self.eps
        change = torch.zeros_like(x)
        radius = x.new_full((len(x), 1, 1, 1), FIRST_RADIUS)
        best, smallest = x.clone(), x.new_full((len(x),), torch.inf)
        last = x
        for i in range(self.steps):
            seen = self._published(x + change).requires_grad_()
            logits = surrogate(seen)[1]
            gradient = torch.autograd.grad(cross_entropy(logits, y, reduction="sum"), seen)[0]
            done = (logits.argmax(1) == y) == self.targeted
            last = seen.detach()
            size = (last - x).flatten(1).norm(dim=1)
            better = done & (size < smallest)
            best[better], smallest[better] = last[better], size[better]
            along = FIRST_STEP * self._decay(i)
            change = change - sign * along * gradient / _norm(gradient)
            radius = radius * torch.where(done, 1 - GAMMA, 1 + GAMMA).view(-1, 1, 1, 1)
            change = (change * radius / _norm(change)).clamp(-cap, cap)
        best[smallest.isinf()] = last[smallest.isinf()]
        return best

    def _published(self, x: Tensor) -> Tensor:
        """On the 8-bit grid, unless eps is below one of its levels."""
        x = x.clamp(0, 1)
        return (x * 255).round() / 255 if self.eps * 255 >= 1 else x

    def _decay(self, i: int) -> float:
        """From 1 to LAST_STEP / FIRST_STEP by half a cosine."""
        low = LAST_STEP / FIRST_STEP
        return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * i / self.steps))

    def _check_params(self) -> None:
        require_eps(self.eps)
        require_truth(self, "targeted")
        require_whole(self, "steps", "batch_size")


def _norm(x: Tensor) -> Tensor:
    return x.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1)
