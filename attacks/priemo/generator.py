"""Scope generator: a small network, fitted once, that outputs a perturbation for each image.

A U-Net from the image to u in the metric of the budget, which the image's own map M scales as it
scales universal perturbations (geometry.py). `apply` needs no gradient and no label: one forward
pass, matched to the budget. It needs no surrogate either, unless the network also reads the feature
maps of the surrogates (maps.py), as an encoder that is trained already; these are then run forward
once. The design is ours; generative adversarial perturbations are Poursaeed et al.'s
(universal/gap.py, the baseline).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Unpack

import torch
from torch import Tensor

from priemo_bench.attacks import unet
from priemo_bench.attacks.base import require_bool, require_int, require_number
from priemo_bench.attacks.maps import FeatureMaps
from priemo_bench.attacks.priemo.attack import LATER, PriEMO, SharedParams
from priemo_bench.attacks.priemo.fitted import FitSet, FittedPriEMO
from priemo_bench.attacks.priemo.geometry import rms
from priemo_bench.attacks.priemo.objective import Objective, softplus_penalty
from priemo_bench.attacks.priemo.quantisation import perturb_quantised
from priemo_bench.attacks.serialization import image_shape
from priemo_bench.attacks.surrogate import open_surrogates, predict_ensemble
from priemo_bench.contracts.attack import Scope
from priemo_bench.contracts.storage import Tensors
from priemo_bench.errors import require

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier

LEARNING_RATE = 2e-3
ADDED = {"width": 32, "bfloat16": False, "feature_maps": False}
"""Parameters that files of earlier versions lack."""
PREFIX = "generator."
"""Of the names of the weights in saved files."""


class Generator(unet.UNet):
    """Images (n, c, h, w) in [0, 1] to normalised perturbations u of the same shape.

    Args:
        channels, size, width, bfloat16, maps: as for `UNet`.
        bounded: |u| <= 1, for a budget without a floor; otherwise an rms of 1.
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        bounded: bool,
        width: int = 32,
        bfloat16: bool = False,
        maps: FeatureMaps | None = None,
    ) -> None:
        super().__init__(channels, size, width, bfloat16, maps)
        self.bounded = bounded

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) in [0, 1] to u (n, c, h, w)."""
        u = super().forward(x)
        return u.tanh() if self.bounded else u / rms(u).clamp_min(1e-6)


class GeneratorPriEMO(FittedPriEMO):
    """Scope generator: a network that outputs a perturbation for each image, of any size.

    Trained on augmented faces; untargeted, with the predictions of the surrogates on them.

    Args:
        classifier, scope, shared: as for `PriEMO`.
        steps: passes over the fit images.
        confidence: margin beyond the decision boundary up to which an image is optimised, in mean
            margins of clean faces.
        balance: as for `UniversalPriEMO`.
        width: channels of the network at a half of the image's side, a multiple of 8.
        bfloat16: train in bfloat16, as for `UNet`; `apply` is in float32.
        feature_maps: the network also reads the feature maps of the surrogates; `apply` then runs
            them, and a saved one is loaded with its classifier. They are shown images whose sides
            are rounded up to multiples of 8.

    Raises:
        PriemoError: a parameter out of range.

    Example:
        >>> from priemo_bench.attacks import GeneratorPriEMO
        >>> from priemo_bench.testing import toy_classifier, toy_faces
        >>> attack = GeneratorPriEMO(toy_classifier(), steps=1, random_state=0, verbose=False)
        >>> x, _ = toy_faces(7, size=48, seed=1)
        >>> attack.fit(*toy_faces(14)).apply(x).shape
        (7, 1, 48, 48)
    """

    scope: Scope = "generator"
    attack_params = [
        *PriEMO.attack_params,
        "steps", "confidence", "balance", "width", "bfloat16", "feature_maps",
    ]  # fmt: skip

    def __init__(
        self,
        classifier: PyTorchClassifier | None,
        scope: Scope | None = None,
        *,
        steps: int = 100,
        confidence: float = 0.5,
        balance: float = 0.0,
        width: int = 32,
        bfloat16: bool = False,
        feature_maps: bool = False,
        **shared: Unpack[SharedParams],
    ) -> None:
        super().__init__(classifier, scope, **shared)
        self.steps = steps
        self.confidence = confidence
        self.balance = balance
        self.width = width
        self.bfloat16 = bfloat16
        self.feature_maps = feature_maps
        self._net: Generator | None = None
        self._check_params()

    def _penalty(self, margins: Tensor) -> Tensor:
        return softplus_penalty(margins, self.confidence)

    def _new_net(self, channels: int, height: int, width: int) -> Generator:
        size, maps = unet.rounded((height, width)), None
        if self.feature_maps:
            surrogates = open_surrogates(self.estimator, self.surrogates, self.layer)
            maps = FeatureMaps(surrogates, channels, size)
        bounded = self.budget.floor is None
        return Generator(channels, size, bounded, self.width, self.bfloat16, maps)

    def _train(self, data: FitSet, objective: Objective) -> None:
        def loss(net: Generator, images: Tensor, rows: Tensor) -> Tensor:
            labels = (
                data.labels[rows]
                if self.targeted
                else predict_ensemble(objective.surrogates, images)
            )
            protected = perturb_quantised(images, net(images), self.budget)
            return (objective(protected, labels)[0] * data.weights[rows]).mean()

        n, *shape = data.x.shape
        self._net = unet.train(
            lambda: self._new_net(*shape), data.x, loss, steps=self._n_steps(n),
            batch_size=self._batch(n), rate=LEARNING_RATE, seed=self.random_state or 0,
            verbose=self.verbose,
        )  # fmt: skip

    def _normalised(self, x: Tensor, groups: Tensor) -> Tensor:
        assert self._net is not None
        return self._net.run(x)

    @property
    def _image_shape(self) -> tuple[int, ...] | None:
        return None if self._net is None else self._net.shape

    def _forget(self, changed: set[str]) -> None:
        super()._forget(changed)
        if changed - LATER:
            self._net = None

    def _state(self) -> tuple[Tensors, str]:
        tensors, image = super()._state()
        if self._net is None:
            return tensors, image
        weights = {PREFIX + k: v.cpu().numpy() for k, v in self._net.state_dict().items()}
        return {**tensors, **weights}, "x".join(map(str, (*self._net.shape, *self._net.size)))

    def _restore(self, tensors: Tensors, image: str) -> None:
        super()._restore(tensors, image)
        weights = {
            name.removeprefix(PREFIX): torch.from_numpy(value)
            for name, value in tensors.items()
            if name.startswith(PREFIX)
        }
        net = self._new_net(*image_shape(image))
        self._net = unet.restore(net, weights).to(self._device)

    def _check_settings(self, settings: Mapping[str, object]) -> None:
        super()._check_settings({**ADDED, **settings})

    def _check_params(self) -> None:
        super()._check_params()
        require_number(self, "confidence")
        require_int(self, "width")
        fits = self.width % unet.GROUPS == 0
        require(fits, "width", self.width, f"a multiple of {unet.GROUPS}")
        require_bool(self, "bfloat16", "feature_maps")
