"""GAP: a network that generates a perturbation for each image in one forward pass.

Poursaeed, Katsman, Gao & Belongie, "Generative adversarial perturbations", CVPR 2018,
arXiv:1712.02328, section 3.2: the output of the network is scaled to the linf bound; untargeted it
minimises -log H, targeted log H, with H the cross-entropy of the surrogate for the predicted class
or the target. Network, optimiser (but for the rate) and augmentation are those of Pri-EMO's
generator, so that comparing the two compares their objectives.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from art.estimators.classification import PyTorchClassifier
from torch import Tensor
from torch.nn.functional import cross_entropy

from priemo_bench.attacks import unet
from priemo_bench.attacks.base import (
    FittedAttack,
    as_surrogates,
    require_bool,
    require_eps,
    require_int,
)
from priemo_bench.attacks.losses import clip
from priemo_bench.attacks.serialization import image_shape
from priemo_bench.attacks.surrogate import open_surrogates, predict_ensemble
from priemo_bench.contracts.attack import EPS_GRID, Traits
from priemo_bench.contracts.image import FloatImages, check_images
from priemo_bench.contracts.storage import Tensors
from priemo_bench.errors import PriemoError

RATE = 2e-4
"""Learning rate of the paper, for Adam; here convolution kernels have a multiple (`unet.train`)."""


def scale_to_linf(raw: Tensor, eps: float) -> Tensor:
    """The output of the network (n, c, h, w) after tanh, scaled down to linf `eps`."""
    raw = raw.tanh()
    largest = raw.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
    return raw * (eps / largest).clamp(max=1)


def fooling_loss(logits: Tensor, y: Tensor, targeted: bool) -> Tensor:
    """The loss of section 3.2, for one surrogate's logits (n, k) and labels or targets (n,)."""
    log_entropy = cross_entropy(logits, y).clamp_min(1e-12).log()
    return log_entropy if targeted else -log_entropy


class GAP(FittedAttack):
    """Generative adversarial perturbations.

    Args:
        classifier: ART `PyTorchClassifier` with clip values (0, 1); the first surrogate.
        eps: linf bound in (0, 1].
        targeted: as in ART, `y` then holds the target, one for all.
        surrogates: further PyTorchClassifiers; losses are averaged.
        passes: forward and backward passes over the fit faces.
        random_state: seed of the initial weights and of the mini-batches.

    Raises:
        PriemoError: a parameter out of range.

    Example:
        >>> from priemo_bench.attacks.universal.gap import GAP
        >>> from priemo_bench.testing import toy_classifier, toy_faces
        >>> classifier, (x, y) = toy_classifier(), toy_faces()
        >>> attack = GAP(classifier, eps=8 / 255, passes=2, random_state=0).fit(x)
        >>> bool(abs(attack.apply(x) - x).max() <= 8 / 255 + 1e-6)
        True
    """

    traits = Traits("universal", "generator", "many", True, "eps", EPS_GRID, random=True)
    attack_params = [
        *EvasionAttack.attack_params,
        "eps", "targeted", "surrogates", "passes", "batch_size", "random_state",
    ]  # fmt: skip

    def __init__(
        self,
        classifier: PyTorchClassifier | None,
        eps: float = 8 / 255,
        targeted: bool = False,
        surrogates: tuple[PyTorchClassifier, ...] = (),
        passes: int = 100,
        batch_size: int = 64,
        random_state: int | None = None,
    ) -> None:
        super().__init__(estimator=classifier)
        self.eps = eps
        self._targeted = targeted
        self.surrogates = as_surrogates(surrogates)
        self.passes = passes
        self.batch_size = batch_size
        self.random_state = random_state
        self._net: unet.UNet | None = None
        self._check_params()

    def fit(self, x: FloatImages, y: object | None = None) -> Self:
        """Train the network.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1].
            y: the target (one for all) if targeted, else not used: labels are the predictions of
                the surrogates on the augmented faces.
        """
        x = check_images(x)
        surrogates = open_surrogates(self.estimator, self.surrogates)
        images = torch.tensor(x, device=surrogates[0].device)
        target = self._target(y, len(x))

        def loss(net: unet.UNet, augmented: Tensor, rows: Tensor) -> Tensor:
            if target is None:
                labels = predict_ensemble(surrogates, augmented)
            else:
                labels = torch.full_like(rows, target)
            protected = clip(augmented + scale_to_linf(net(augmented), self.eps))
            labels = labels.to(protected.device)
            losses = [fooling_loss(s(protected)[1], labels, self.targeted) for s in surrogates]
            return torch.stack(losses).mean()

        batch = min(self.batch_size, len(x))
        self._net = unet.train(
            lambda: unet.UNet(x.shape[1], (x.shape[2], x.shape[3])),
            images,
            loss,
            steps=max(1, self.passes * len(x) // batch),
            batch_size=batch,
            rate=RATE,
            seed=self.random_state or 0,
        )
        protected = torch.from_numpy(self.apply(x)).to(images.device)
        predicted = predict_ensemble(surrogates, protected)
        if target is None:
            fooled = predicted != predict_ensemble(surrogates, images)
        else:
            fooled = predicted == target
        self.fooling_rate = float(fooled.float().mean())
        return self

    def apply(self, x: FloatImages, y: object | None = None) -> FloatImages:
        """Add the generated perturbations to images (n, c, h, w) and clip, without a gradient."""
        x = check_images(x)
        if self._net is None:
            raise PriemoError("apply() needs a fitted network: call fit() first")
        if x.shape[1:2] != self._net.shape:
            raise PriemoError(f"x has {x.shape[1]} channels; the network is for {self._net.shape}")
        images = torch.tensor(x)
        done: FloatImages = clip(images + scale_to_linf(self._net.run(images), self.eps)).numpy()
        return done

    def generate(self, x: FloatImages, y: object | None = None) -> FloatImages:
        """`apply` to `x`, after `fit` on it unless fitted before."""
        self._fit_unless_fitted(x, y)
        return self.apply(x, y)

    def _forget(self, changed: set[str]) -> None:
        if changed - {"verbose", "batch_size", "delta"}:
            self._net = self.fooling_rate = None
            self._fitted_on_purpose = False

    def _target(self, y: object | None, n: int) -> int | None:
        given = self._check_y(y, n, int(self.estimator.nb_classes))
        if not self.targeted or given is None:
            return None
        if len(np.unique(given)) > 1:
            raise PriemoError("one network can have one target only: give the same for all")
        return int(given[0])

    def _state(self) -> tuple[Tensors, str]:
        if self._net is None:
            return {}, ""
        tensors = {name: value.cpu().numpy() for name, value in self._net.state_dict().items()}
        return tensors, "x".join(map(str, (*self._net.shape, *self._net.size)))

    def _restore(self, tensors: Tensors, image: str) -> None:
        channels, height, width = image_shape(image)
        state = {name: torch.from_numpy(value) for name, value in tensors.items()}
        self._net = unet.restore(unet.UNet(channels, (height, width)), state)
        if self.estimator is not None:
            self._net.to(open_surrogates(self.estimator)[0].device)

    def _check_params(self) -> None:
        require_eps(self.eps)
        require_bool(self, "targeted")
        require_int(self, "passes", "batch_size")
