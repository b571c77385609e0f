"""GAP: a network that makes a perturbation for each image in one forward pass.

Poursaeed, Katsman, Gao & Belongie, "Generative adversarial perturbations", CVPR 2018,
arXiv:1712.02328, section 3.2: what the network puts out is scaled to the linf bound; untargeted it
minimises -log H, targeted log H, with H the cross-entropy of the surrogate for the emotion read or
wanted. The network, its optimiser (but for the rate) and its altered faces are those of Pri-EMO's
generator, so that a comparison of both is one of objectives.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from torch import Tensor
from torch.nn.functional import cross_entropy

from priemo_bench.attacks import unet
from priemo_bench.attacks.base import FittedAttack, require_eps, require_truth, require_whole
from priemo_bench.attacks.losses import clip
from priemo_bench.attacks.surrogate import Surrogate, reading
from priemo_bench.attacks.universal import serialization as noise_file
from priemo_bench.contracts.attack import EPS_GRID, Traits
from priemo_bench.contracts.image import FloatImages, check_images
from priemo_bench.errors import PriemoError

RATE = 2e-4
"""Of the paper, for Adam; here kernels learn by Muon, at a multiple of it (`unet.learn`)."""


def scaled(raw: Tensor, eps: float) -> Tensor:
    """What the network puts out (n, c, h, w), through tanh, then within linf `eps`."""
    raw = raw.tanh()
    size = raw.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
    return raw * (eps / size).clamp(max=1)


def fooling(logits: Tensor, y: Tensor, targeted: bool) -> Tensor:
    """The loss of section 3.2, for one surrogate's logits (n, k) and labels or targets (n,)."""
    value = cross_entropy(logits, y).clamp_min(1e-12).log()
    return value if targeted else -value


class GAP(FittedAttack):
    """Generative adversarial perturbations.

    Args:
        classifier: ART `PyTorchClassifier` with clip values (0, 1); the first surrogate.
        eps: largest change of a pixel in (0, 1].
        targeted: as in ART, `y` are then the emotions to be read, one for all.
        surrogates: further PyTorchClassifiers to look into; their losses are averaged.
        passes: forward and backward passes over the fit faces.
        random_state: seed of the first weights and of the mini-batches.

    Raises:
        PriemoError: for parameters outside these.
    """

    traits = Traits("universal", "generator", "many", True, "eps", EPS_GRID, random=True)
    attack_params = [
        *EvasionAttack.attack_params,
        "eps", "targeted", "surrogates", "passes", "batch_size", "random_state",
    ]  # fmt: skip

    def __init__(
        self,
        classifier: Any,
        eps: float = 8 / 255,
        targeted: bool = False,
        surrogates: tuple[Any, ...] = (),
        passes: int = 100,
        batch_size: int = 64,
        random_state: int | None = None,
    ) -> None:
        super().__init__(estimator=classifier)
        self.eps = eps
        self._targeted = targeted
        self.surrogates = tuple(surrogates)
        self.passes = passes
        self.batch_size = batch_size
        self.random_state = random_state
        self.fooling_rate: float | None = None
        self._net: unet.UNet | None = None
        self._check_params()

    def fit(self, x: np.ndarray, y: np.ndarray | None = None) -> GAP:
        """Fit the network.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1]. y: the target (one for all) if targeted; what
                is to be left is read by the surrogates, in each face as it is altered.
        """
        x = check_images(x)
        surrogates = self._open()
        images = torch.from_numpy(x).to(surrogates[0].device)
        given = self._given(y, len(x), int(self.estimator.nb_classes))
        if self.targeted and given is not None and len(np.unique(given)) > 1:
            raise PriemoError("one network can have one target only: give the same for all")
        goal = int(given[0]) if self.targeted and given is not None else None

        def loss(net: unet.UNet, altered: Tensor, rows: Tensor) -> Tensor:
            own = reading(surrogates, altered) if goal is None else torch.full_like(rows, goal)
            seen = clip(altered + scaled(net(altered), self.eps))
            losses = [fooling(s(seen)[1], own.to(seen.device), self.targeted) for s in surrogates]
            return torch.stack(losses).mean()

        def make() -> unet.UNet:
            return unet.UNet(x.shape[1], (x.shape[2], x.shape[3]))

        batch = min(self.batch_size, len(x))
        steps = max(1, self.passes * len(x) // batch)
        self._net = unet.learn(make, images, loss, steps, batch, self.random_state or 0, RATE)
        now = reading(surrogates, torch.from_numpy(self.apply(x)).to(images.device)).cpu()
        hit = now == goal if goal is not None else now != reading(surrogates, images).cpu()
        self.fooling_rate = float(hit.float().mean())
        return self

    def apply(self, x: np.ndarray, y: np.ndarray | None = None) -> FloatImages:
        """Add what the network makes of each image (n, c, h, w) and clip to [0, 1]: no gradient."""
        x = check_images(x)
        if self._net is None:
            raise PriemoError("apply() needs a fitted network: call fit() first")
        if x.shape[1:2] != self._net.shape:
            raise PriemoError(f"x has {x.shape[1]} channels; the network is for {self._net.shape}")
        images = torch.from_numpy(x)
        done: FloatImages = clip(images + scaled(self._net.run(images), self.eps)).numpy()
        return done

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> FloatImages:
        """`apply` to `x`, after `fit` on it unless fitted before."""
        return (self if self._net is not None else self.fit(x, y)).apply(x, y)

    def save(self, path: str | Path) -> None:
        """Write the fitted network as safetensors, with what is needed to use it again."""
        tensors = {} if self._net is None else self._net.state_dict()
        image = "x".join(map(str, (*self._net.shape, *self._net.size))) if self._net else ""
        arrays = {name: value.cpu().numpy() for name, value in tensors.items()}
        noise_file.save(self, Path(path), arrays, image)

    @classmethod
    def load(cls, path: str | Path, classifier: Any = None) -> GAP:
        """Read what `save` wrote; without a classifier it can only `apply`."""
        attack, arrays, image = noise_file.load(cls, Path(path), classifier)
        channels, height, width = map(int, image.split("x"))
        state = {name: torch.from_numpy(value) for name, value in arrays.items()}
        attack._net = unet.restored(unet.UNet(channels, (height, width)), state)
        if classifier is not None:
            attack._net.to(attack._open()[0].device)
        return attack

    def _open(self) -> list[Surrogate]:
        if self.estimator is None:
            raise PriemoError("this needs a classifier: load(path, classifier)")
        return [Surrogate(c) for c in (self.estimator, *self.surrogates)]

    def _check_params(self) -> None:
        require_eps(self.eps)
        require_truth(self, "targeted")
        require_whole(self, "passes", "batch_size")
