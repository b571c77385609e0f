"""torchattack's attacks by their own names and keyword arguments (optional dependency).

torchattack (PyPI `torchattack`, MIT) has one file a paper: BSR, DeCoWA, SSA, GRA, ILPD, L2T,
MuMoDIG, Admix ... It is another package than torchattacks.
"""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from typing import Any

import numpy as np
import torch
from torch import nn

from priemo_bench.attacks.adapter import AdaptedAttack
from priemo_bench.attacks.art_adapter import keyword_arguments
from priemo_bench.attacks.base import temporary_seed
from priemo_bench.attacks.losses import check_classifier
from priemo_bench.attacks.torchattacks_adapter import WrappedModel
from priemo_bench.contracts.attack import EPS_GRID, Traits
from priemo_bench.contracts.image import FloatImages, Labels
from priemo_bench.contracts.preset import Preset
from priemo_bench.errors import PriemoError
from priemo_bench.registry import unknown

GIVEN = {"self", "model", "normalize", "device", "clip_min", "clip_max", "targeted"}
"""Constructor arguments that are not the user's to set."""


def attack_class(name: str) -> Any:
    """The class `name` of torchattack.

    Raises:
        PriemoError: torchattack is not installed, or has no such attack for any classifier.
    """
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


class TorchattackAttack(AdaptedAttack):
    """Any attack of torchattack on a classifier of its user's.

    `attack` is its name there, `params` are further arguments of it (`steps`, `decay` ...); its
    step size `alpha` is its paper's unless given. See `AdaptedAttack` for the rest.

    Raises:
        PriemoError: as for `attack_class`; or a parameter that it does not have.
    """

    default_attack = "PGD"

    def _run(self, x: FloatImages, labels: Labels | None, mask: FloatImages | None) -> FloatImages:
        if labels is None:
            labels = self.estimator.predict(x, batch_size=self.batch_size).argmax(1)
        model = WrappedModel(self.estimator, filters=self.filters).eval()
        attack = self._build(model)
        protected = []
        for start in range(0, len(x), self.batch_size):
            rows = slice(start, start + self.batch_size)
            device = self.estimator.device
            y = torch.from_numpy(labels[rows]).to(device)
            model.margin_labels = y if self.loss == "margin" else None
            images = torch.from_numpy(x[rows]).to(device)
            protected.append(attack(images, y).detach().cpu().numpy())
        return np.concatenate(protected)

    def _build(self, model: nn.Module) -> Any:
        found = attack_class(self.attack)
        params = keyword_arguments(found, self.params, {"eps": self.eps}, GIVEN)
        named = signature(found).parameters
        if self.targeted and "targeted" not in named:
            raise PriemoError(f"{self.attack} of torchattack cannot be targeted")
        if "targeted" in named:
            params["targeted"] = self.targeted
        if "num_classes" in named:
            params.setdefault("num_classes", self.estimator.nb_classes)
        return found(model, None, self.estimator.device, **params)

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
