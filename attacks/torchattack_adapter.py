"""torchattack's attacks by their own names and keyword arguments (optional dependency).

torchattack (PyPI `torchattack`, MIT) has one file a paper: BSR, DeCoWA, GRA, Admix, ILPD (given a
layer), MuMoDIG (with kornia), L2T (on CUDA) ... It is another package than torchattacks.
"""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from priemo_bench.attacks.adapter import AdaptedAttack
from priemo_bench.attacks.art_adapter import keyword_arguments
from priemo_bench.attacks.base import temporary_seed
from priemo_bench.attacks.losses import check_classifier
from priemo_bench.attacks.torchattacks_adapter import RGB_ONLY, WrappedModel
from priemo_bench.contracts.attack import EPS_GRID, Traits
from priemo_bench.contracts.image import FloatImages, Labels
from priemo_bench.contracts.predict import margin
from priemo_bench.contracts.preset import Preset
from priemo_bench.errors import PriemoError
from priemo_bench.registry import unknown

GIVEN = {"self", "model", "normalize", "device", "clip_min", "clip_max", "targeted"}
"""Constructor arguments that are not the user's to set."""
UNFIT = {
    "BFA": "takes the gradient of a frozen network's layers",
    "NAA": "takes the gradient of a frozen network's layers",
    "SGM": "knows the skip connections of torchvision's networks only",
    "SSA": "takes images of 224x224 only; ssa-cwa has its views at any size",
    "SSP": "downloads the weights of another network",
}
"""Attacks that run on no classifier of a user's, and why."""
UNTARGETED = {"GRA"}
"""Attacks that leave a part of their gradient untargeted."""


def attack_class(name: str) -> Any:
    """The class `name` of torchattack.

    Raises:
        PriemoError: torchattack is not installed, or has no such attack for any classifier, or one
            that cannot be run here.
    """
    if name in UNFIT:
        raise PriemoError(f"{name} of torchattack cannot be run here: it {UNFIT[name]}")
    if name == "L2T" and not torch.cuda.is_available():
        raise PriemoError("L2T of torchattack runs on CUDA only, and there is none here")
    try:
        package: Any = import_module("torchattack")
    except ImportError as error:
        raise PriemoError(
            "torchattack is not installed; pip install 'priemo-bench[torchattack]'"
        ) from error
    known = {
        key: found
        for key, found in package.ATTACK_REGISTRY.items()
        if found.attack_category.value in ("COMMON", "NON_EPS")
    }
    if name not in known:
        raise unknown("torchattack attacks", name, known)
    return known[name]


class LabelMargin(nn.Module):
    """Minus the logit margin, mean over images; as `MarginLoss`, of labels (n,) too."""

    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        """(n, classes) logits and labels (n,) or one-hot to a scalar."""
        return -margin(logits, y if y.ndim == 1 else y.argmax(1)).mean()


class TorchattackAttack(AdaptedAttack):
    """Any attack of torchattack on a classifier of its user's.

    `attack` is its name there, `params` are further arguments of it (`steps`, `decay` ...); its
    step size `alpha` is its paper's unless given. See `AdaptedAttack` for the rest.

    With loss "margin" the attack's own cross-entropy is replaced.

    Raises:
        PriemoError: as for `attack_class`; a parameter that it does not have; no
            `feature_layer_cfg` for one that reads a layer; the margin for one with its own loss.
    """

    default_attack = "PGD"

    def _run(self, x: FloatImages, labels: Labels | None, mask: FloatImages | None) -> FloatImages:
        if labels is None:
            labels = self.estimator.predict(x, batch_size=self.batch_size).argmax(1)
        repeated = x.shape[1] == 1 and self.attack in RGB_ONLY
        model = WrappedModel(self.estimator, repeated, self.filters).eval()
        attack = self._build(model)
        protected = []
        for start in range(0, len(x), self.batch_size):
            rows = slice(start, start + self.batch_size)
            device = self.estimator.device
            y = torch.from_numpy(labels[rows]).to(device)
            images = torch.from_numpy(x[rows]).expand(-1, 3 if repeated else -1, -1, -1).to(device)
            protected.append(attack(images, y).detach().cpu().numpy())
        return np.concatenate(protected)[:, : x.shape[1]]

    def _build(self, model: nn.Module) -> Any:
        found = attack_class(self.attack)
        params = keyword_arguments(found, self.params, {"eps": self.eps}, GIVEN)
        named = signature(found).parameters
        if self.targeted and ("targeted" not in named or self.attack in UNTARGETED):
            raise PriemoError(f"{self.attack} of torchattack cannot be targeted")
        if "targeted" in named:
            params["targeted"] = self.targeted
        if "num_classes" in named:
            params.setdefault("num_classes", self.estimator.nb_classes)
        if "feature_layer_cfg" in named and "feature_layer_cfg" not in params:
            layers = [name for name, layer in model.named_modules() if len([*layer.children()]) > 1]
            raise PriemoError(
                f"{self.attack} of torchattack reads a layer: give its name as feature_layer_cfg, "
                f"such as {', '.join(layers[1:4])}"
            )
        attack = found(model, None, self.estimator.device, **params)
        if self.loss == "margin":
            if self.attack == "MIG" or not hasattr(attack, "lossfn"):
                raise PriemoError(f"{self.attack} of torchattack has a loss of its own")
            attack.lossfn = LabelMargin()
        return attack

    def _check_attack(self) -> None:
        check_classifier(self.estimator)
        with temporary_seed(self.random_state):
            self._build(WrappedModel(self.estimator))


def by_name(name: str) -> Preset:
    """The entry of "torchattack:NAME", with the traits that the class's signature shows.

    Raises:
        PriemoError: as for `attack_class`.
    """
    named = signature(attack_class(name)).parameters
    eps = "eps" in named
    traits = Traits(
        "per-image", "image", "one", "targeted" in named,
        "eps" if eps else None, EPS_GRID if eps else (), random=True,
    )  # fmt: skip
    return Preset(TorchattackAttack, traits, {"attack": name})
