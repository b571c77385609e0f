"""torchattacks' attacks by their own names and keyword arguments (optional dependency)."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from priemo_bench.attacks.adapter import STEP, AdaptedAttack
from priemo_bench.attacks.art_adapter import accepted
from priemo_bench.attacks.base import seeded
from priemo_bench.attacks.losses import check_classifier, clip
from priemo_bench.attacks.preset import Preset
from priemo_bench.contracts.attack import EPS_GRID, Traits
from priemo_bench.contracts.image import FloatImages, Labels
from priemo_bench.errors import PriemoError
from priemo_bench.registry import unknown

GRADIENT_ONLY = {
    "BIM", "DIFGSM", "FGSM", "MIFGSM", "NIFGSM", "PGD", "PGDL2", "RFGSM", "SINIFGSM", "TIFGSM",
    "VMIFGSM", "VNIFGSM",
}  # fmt: skip
"""Attacks that use of the loss nothing but the gradient of the cross-entropy."""


COLOURS_ONLY = {"PIFGSM", "PIFGSMPP", "TIFGSM"}
"""Attacks that smooth over exactly three channels: a grey image is shown to them as three."""


def _torchattacks() -> ModuleType:
    try:
        import torchattacks
    except ImportError as error:
        raise PriemoError(
            "torchattacks is not installed; pip install 'priemo-bench[torchattacks]'"
        ) from error
    return torchattacks  # type: ignore[no-any-return]


class _Reader(nn.Module):
    """The classifier, preprocessing included, as torchattacks sees it.

    With `labels` the logits are such that the gradient of the cross-entropy is half that of the
    margin, best other logit minus own: both are moved to zero without touching their gradient,
    and the others removed. `grey` images come as three equal channels, and are read as one.
    """

    def __init__(self, classifier: Any, grey: bool = False) -> None:
        super().__init__()
        self.grey = grey
        self.model = classifier.model
        self.prepare = classifier._apply_preprocessing
        self.labels: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        x = x.mean(1, keepdim=True) if self.grey else x
        x, _ = self.prepare(clip(x), y=None, no_grad=False)
        logits: Tensor = self.model(x)
        if self.labels is None:
            return logits
        own = nn.functional.one_hot(self.labels, logits.shape[1]).bool()
        best = logits.masked_fill(own, -torch.inf).argmax(1, keepdim=True)
        return (logits - logits.detach()).masked_fill(~own.scatter(1, best, True), -torch.inf)


class TorchAttack(AdaptedAttack):
    """Any attack of torchattacks: `TorchAttack(classifier, "MIFGSM")`.

    `attack` is the name of a class in `torchattacks`, `params` are further arguments of it
    (`steps`, `decay` ...), its step is `alpha`; loss "margin" is for attacks in GRADIENT_ONLY. See
    `AdaptedAttack` for the rest. PriemoError when torchattacks is missing.
    """

    default = "PGD"

    def _run(self, x: FloatImages, labels: Labels | None) -> FloatImages:
        if labels is None:
            with seeded(self.random_state):  # predict() draws numbers too
                labels = self.estimator.predict(x, batch_size=self.batch_size).argmax(1)
        grey = x.shape[1] == 1 and self.attack in COLOURS_ONLY
        reader = _Reader(self.estimator, grey).eval()
        attack = self._build(reader)
        done = []
        for start in range(0, len(x), self.batch_size):
            part = slice(start, start + self.batch_size)
            own = torch.from_numpy(labels[part]).to(self.estimator.device)
            reader.labels = own if self.loss == "margin" else None
            seen = torch.from_numpy(x[part]).expand(-1, 3 if grey else -1, -1, -1)
            done.append(attack(seen, own).detach().cpu().numpy())
        return np.concatenate(done)[:, : x.shape[1]]

    def _build(self, model: nn.Module) -> Any:
        package = _torchattacks()
        if self.attack not in package.__all__:
            raise unknown("torchattacks attacks", self.attack, package.__all__)
        make = getattr(package, self.attack)
        defaults = {"eps": self.eps, "alpha": self.eps * STEP, "random_start": False}
        params = accepted(make, self.params, defaults, {"self", "model"})
        attack = make(model, **params)
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
        self._build(_Reader(self.estimator))


def _traits(random: bool) -> Traits:
    return Traits("per-image", "image", "one", True, "eps", EPS_GRID, random)


pgd_torchattacks = Preset(TorchAttack, _traits(False), {"attack": "PGD", "steps": 25})
"""Madry et al. 2018, arXiv:1706.06083, without random start: the same as `pgd`."""

mifgsm = Preset(TorchAttack, _traits(False), {"attack": "MIFGSM", "steps": 25})
"""Dong et al. 2018, arXiv:1710.06081."""

difgsm = Preset(TorchAttack, _traits(True), {"attack": "DIFGSM", "steps": 25, "decay": 1.0})
"""Xie et al. 2019, arXiv:1803.06978, with momentum (M-DI2-FGSM)."""

vmifgsm = Preset(TorchAttack, _traits(True), {"attack": "VMIFGSM", "steps": 25})
"""Wang & He 2021, arXiv:2103.15571; six gradients a step."""

tifgsm = Preset(TorchAttack, _traits(True), {"attack": "TIFGSM", "steps": 25, "decay": 1.0})
"""Dong et al. 2019, arXiv:1904.02884, with momentum and input diversity (TI-DIM)."""

sinifgsm = Preset(TorchAttack, _traits(False), {"attack": "SINIFGSM", "steps": 25})
"""Lin et al. 2020, arXiv:1908.06281; five gradients a step."""
