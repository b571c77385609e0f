"""torchattacks' attacks by their own names and keyword arguments (optional dependency)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from inspect import signature
from types import ModuleType
from typing import Protocol

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn

from priemo_bench.attacks.adapter import RELATIVE_STEP, AdaptedAttack
from priemo_bench.attacks.art_adapter import keyword_arguments
from priemo_bench.attacks.base import temporary_seed
from priemo_bench.attacks.filters import Filtered
from priemo_bench.attacks.losses import check_classifier, clip
from priemo_bench.contracts.attack import EPS_GRID, Traits
from priemo_bench.contracts.image import FloatImages, Labels
from priemo_bench.contracts.predict import margin
from priemo_bench.contracts.preset import Preset
from priemo_bench.errors import PriemoError
from priemo_bench.registry import unknown

GRADIENT_ONLY = {
    "BIM", "DIFGSM", "FGSM", "MIFGSM", "NIFGSM", "PGD", "PGDL2", "RFGSM", "SINIFGSM", "TIFGSM",
    "VMIFGSM", "VNIFGSM",
}  # fmt: skip
"""Attacks that use nothing but the gradient of the cross-entropy, so that the margin can be put
in its place."""

RGB_ONLY = {"PIFGSM", "PIFGSMPP", "TIFGSM"}
"""Attacks that smooth over exactly three channels: a grey image is repeated for them."""


def _torchattacks() -> ModuleType:
    try:
        return import_module("torchattacks")
    except ImportError as error:
        raise PriemoError(
            "torchattacks is not installed; pip install 'priemo-bench[torchattacks]'"
        ) from error


class _Torchattack(Protocol):
    """What is used of an attack of torchattacks."""

    supported_mode: list[str]

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor: ...
    def set_device(self, device: torch.device) -> None: ...
    def set_mode_targeted_by_label(self, quiet: bool) -> None: ...


class WrappedModel(nn.Module):
    """The classifier, preprocessing included, as a model for torchattacks.

    Args:
        repeated: whether images are grey, given as three equal channels.
        filters: names, as for `Filtered`.

    Attributes:
        margin_labels: (n,) labels, or None for the logits as they are. With labels the logits are
            replaced by those of two classes, such that the gradient of the cross-entropy is half
            that of minus the logit margin.
    """

    def __init__(
        self,
        classifier: PyTorchClassifier,
        repeated: bool = False,
        filters: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.repeated = repeated
        self.model: nn.Module = classifier.model
        if filters:
            self.model = Filtered(classifier.model, filters)
        self.preprocess = classifier._apply_preprocessing
        self.margin_labels: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        x = x.mean(1, keepdim=True) if self.repeated else x
        x, _ = self.preprocess(clip(x), y=None, no_grad=False)
        logits: Tensor = self.model(x)
        if self.margin_labels is None:
            return logits
        margins = margin(logits, self.margin_labels)[:, None]
        own = nn.functional.one_hot(self.margin_labels, logits.shape[1]).bool()
        other = torch.where(own.roll(1, 1), 0.0, -torch.inf)
        return torch.where(own, margins - margins.detach(), other)


class TorchAttack(AdaptedAttack):
    """Any attack of torchattacks.

    `attack` is the name of a class in `torchattacks`, `params` are further arguments of it
    (`steps`, `decay` ...), its step size is `alpha`; loss "margin" is for attacks in
    GRADIENT_ONLY. See `AdaptedAttack` for the rest. PriemoError when torchattacks is missing.
    """

    default_attack = "PGD"

    def _run(self, x: FloatImages, labels: Labels | None, mask: FloatImages | None) -> FloatImages:
        if labels is None:
            with temporary_seed(self.random_state):  # ART's predict() uses the generators too
                labels = self.estimator.predict(x, batch_size=self.batch_size).argmax(1)
        repeated = x.shape[1] == 1 and self.attack in RGB_ONLY
        model = WrappedModel(self.estimator, repeated, self.filters).eval()
        attack = self._build(model)
        protected = []
        for start in range(0, len(x), self.batch_size):
            rows = slice(start, start + self.batch_size)
            y = torch.from_numpy(labels[rows]).to(self.estimator.device)
            model.margin_labels = y if self.loss == "margin" else None
            images = torch.from_numpy(x[rows]).expand(-1, 3 if repeated else -1, -1, -1)
            protected.append(attack(images, y).detach().cpu().numpy())
        return np.concatenate(protected)[:, : x.shape[1]]

    def _build(self, model: nn.Module) -> _Torchattack:
        package = _torchattacks()
        if self.attack not in package.__all__:
            raise unknown("torchattacks attacks", self.attack, package.__all__)
        attack_class = getattr(package, self.attack)
        defaults = {"eps": self.eps, "alpha": self.eps * RELATIVE_STEP, "random_start": False}
        params = keyword_arguments(attack_class, self.params, defaults, {"self", "model"})
        attack: _Torchattack = attack_class(model, **params)
        attack.set_device(self.estimator.device)
        if self.targeted:
            if "targeted" not in attack.supported_mode:
                raise PriemoError(f"{self.attack} of torchattacks cannot be targeted")
            attack.set_mode_targeted_by_label(quiet=True)
        return attack

    def _check_attack(self) -> None:
        if self.loss == "margin" and self.attack not in GRADIENT_ONLY:
            raise PriemoError(
                f"{self.attack} of torchattacks has a loss of its own; the margin goes with "
                f"{', '.join(sorted(GRADIENT_ONLY))}"
            )
        check_classifier(self.estimator)
        if not self.estimator.all_framework_preprocessing:
            raise PriemoError("the classifier's preprocessing has no gradient in torch; remove it")
        self._build(WrappedModel(self.estimator))


def _traits(random: bool) -> Traits:
    return Traits("per-image", "image", "one", True, "eps", EPS_GRID, random)


def by_name(name: str) -> Preset:
    """The entry of "torchattacks:NAME"; its seed is that of the global generators.

    Raises:
        PriemoError: torchattacks is not installed, or has no such attack.
    """
    package = _torchattacks()
    if name not in package.__all__:
        raise unknown("torchattacks attacks", name, package.__all__)
    eps = "eps" in signature(getattr(package, name)).parameters
    strengths = EPS_GRID if eps else ()
    traits = Traits("per-image", "image", "one", True, "eps" if eps else None, strengths, True)
    return Preset(TorchAttack, traits, {"attack": name})


pgd_torchattacks = Preset(
    TorchAttack,
    _traits(False),
    {"attack": "PGD", "steps": 25},
    summary="torchattacks' PGD, 25 steps, no random start",
    source="Madry et al. 2018, arXiv:1706.06083",
)
"""Madry et al. 2018, arXiv:1706.06083, without random start: the same as `pgd`."""

mifgsm = Preset(
    TorchAttack,
    _traits(False),
    {"attack": "MIFGSM", "steps": 25},
    summary="torchattacks' MIFGSM: momentum, 25 steps",
    source="Dong et al. 2018, arXiv:1710.06081",
)
"""Dong et al. 2018, arXiv:1710.06081."""

difgsm = Preset(
    TorchAttack,
    _traits(True),
    {"attack": "DIFGSM", "steps": 25, "decay": 1.0},
    summary="torchattacks' DIFGSM: momentum and input diversity, 25 steps",
    source="Xie et al. 2019, arXiv:1803.06978",
)
"""Xie et al. 2019, arXiv:1803.06978, with momentum (M-DI2-FGSM)."""

vmifgsm = Preset(
    TorchAttack,
    _traits(True),
    {"attack": "VMIFGSM", "steps": 25},
    summary="torchattacks' VMIFGSM: variance tuning, 25 steps",
    source="Wang & He 2021, arXiv:2103.15571",
)
"""Wang & He 2021, arXiv:2103.15571; six gradients per step."""

tifgsm = Preset(
    TorchAttack,
    _traits(True),
    {"attack": "TIFGSM", "steps": 25, "decay": 1.0},
    summary="torchattacks' TIFGSM: momentum and translation invariance, 25 steps",
    source="Dong et al. 2019, arXiv:1904.02884",
)
"""Dong et al. 2019, arXiv:1904.02884, with momentum and input diversity (TI-DIM)."""

sinifgsm = Preset(
    TorchAttack,
    _traits(False),
    {"attack": "SINIFGSM", "steps": 25},
    summary="torchattacks' SINIFGSM: Nesterov and scale invariance, 25 steps",
    source="Lin et al. 2020, arXiv:1908.06281",
)
"""Lin et al. 2020, arXiv:1908.06281; five gradients per step."""
