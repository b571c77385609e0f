"""torchattacks' attacks by their own names and keyword arguments (optional dependency)."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from art.estimators.classification.classifier import ClassifierMixin
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from torch import Tensor, nn

from priemo_bench.attack import EPS_GRID, Traits
from priemo_bench.attacks.art_adapter import STEP, accepted
from priemo_bench.attacks.base import as_labels, require, require_eps, seeded
from priemo_bench.attacks.entry import Entry
from priemo_bench.attacks.losses import LOSSES, Loss, check_classifier, clip
from priemo_bench.errors import PriemoError
from priemo_bench.images import Floats, Labels, check_images
from priemo_bench.registry import unknown

GRADIENT_ONLY = {
    "BIM", "DIFGSM", "FGSM", "MIFGSM", "NIFGSM", "PGD", "PGDL2", "RFGSM", "SINIFGSM", "TIFGSM",
    "VMIFGSM", "VNIFGSM",
}  # fmt: skip
"""Attacks that use of the loss nothing but the gradient of the cross-entropy."""


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
    and the others removed.
    """

    def __init__(self, classifier: Any) -> None:
        super().__init__()
        self.model = classifier.model
        self.prepare = classifier._apply_preprocessing
        self.labels: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        x, _ = self.prepare(clip(x), y=None, no_grad=False)
        logits: Tensor = self.model(x)
        if self.labels is None:
            return logits
        own = nn.functional.one_hot(self.labels, logits.shape[1]).bool()
        best = logits.masked_fill(own, -torch.inf).argmax(1, keepdim=True)
        return (logits - logits.detach()).masked_fill(~own.scatter(1, best, True), -torch.inf)


class TorchAttack(EvasionAttack):
    """Any attack of torchattacks: `TorchAttack(classifier, "MIFGSM")`.

    Args:
        classifier: ART `PyTorchClassifier` with clip values (0, 1).
        attack: name of the class in `torchattacks`.
        eps: largest change of a pixel in (0, 1]; `alpha` is a quarter of it unless given. Both
            are handed on where the class knows them.
        targeted: as in ART, `y` are then the emotions to be read.
        loss: what the gradient is taken of: "cross_entropy", or "margin" of the logits (only for
            attacks in GRADIENT_ONLY).
        random_state: seed of torchattacks' draws (the global generators, put back after).
        params: further arguments of that class (`steps`, `decay` ...).

    Raises:
        PriemoError: torchattacks is missing, or an attack, loss or parameter does not exist.
    """

    attack_params = [  # noqa: RUF012 (ART's own declaration)
        *EvasionAttack.attack_params,
        "attack", "eps", "targeted", "loss", "batch_size", "random_state", "params",
    ]  # fmt: skip
    _estimator_requirements = (BaseEstimator, LossGradientsMixin, ClassifierMixin)

    def __init__(
        self,
        classifier: Any,
        attack: str = "PGD",
        eps: float = 8 / 255,
        targeted: bool = False,
        loss: Loss = "cross_entropy",
        batch_size: int = 64,
        random_state: int | None = None,
        **params: Any,
    ) -> None:
        super().__init__(estimator=classifier)
        self.attack = attack
        self.eps = eps
        self._targeted = targeted
        self.loss = loss
        self.batch_size = batch_size
        self.random_state = random_state
        self.params = params
        self._check_params()

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> Floats:
        """Protected images, floats in [0, 1]; `x` is not modified.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1]. y: labels (n,) or one-hot, the targets if
                targeted; None takes what the classifier reads.
        """
        x = check_images(x)
        if y is None and self.targeted:
            raise PriemoError("a targeted attack needs the targets as y")
        if y is None:
            with seeded(self.random_state):
                y = self.estimator.predict(x, batch_size=self.batch_size).argmax(1)
        labels = as_labels(y, len(x), self.estimator.nb_classes)
        with seeded(self.random_state):
            protected = self._run(x, labels)
        return check_images(np.clip(protected, 0, 1), f"the result of {self.attack}")

    def _run(self, x: Floats, labels: Labels) -> Floats:
        reader = _Reader(self.estimator).eval()
        attack = self._build(reader)
        done = []
        for start in range(0, len(x), self.batch_size):
            part = slice(start, start + self.batch_size)
            own = torch.from_numpy(labels[part]).to(self.estimator.device)
            reader.labels = own if self.loss == "margin" else None
            done.append(attack(torch.from_numpy(x[part].copy()), own).detach().cpu().numpy())
        return np.concatenate(done)

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

    def _check_params(self) -> None:
        require_eps(self.eps)
        require(isinstance(self.targeted, bool), "targeted", self.targeted, "True or False")
        require(self.batch_size >= 1, "batch_size", self.batch_size, "at least 1")
        if self.loss not in LOSSES:
            raise unknown("loss functions", str(self.loss), LOSSES)
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


pgd_torchattacks = Entry(TorchAttack, _traits(False), {"attack": "PGD", "steps": 25})
"""Madry et al. 2018, arXiv:1706.06083, without random start: the same as `pgd`."""

mifgsm = Entry(TorchAttack, _traits(False), {"attack": "MIFGSM", "steps": 25})
"""Dong et al. 2018, arXiv:1710.06081."""

difgsm = Entry(TorchAttack, _traits(True), {"attack": "DIFGSM", "steps": 25, "decay": 1.0})
"""Xie et al. 2019, arXiv:1803.06978, with momentum (M-DI2-FGSM)."""

vmifgsm = Entry(TorchAttack, _traits(True), {"attack": "VMIFGSM", "steps": 25})
"""Wang & He 2021, arXiv:2103.15571; six gradients a step."""
