"""Controls: what every attack has to beat."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

import numpy as np
from art.estimators.classification import PyTorchClassifier

from priemo_bench.attacks.base import ModelFreeAttack, require_eps
from priemo_bench.contracts.attack import EPS_GRID, Traits
from priemo_bench.contracts.image import FloatImages
from priemo_bench.registry import unknown

Distribution = Literal["sign", "uniform"]


class Nothing(ModelFreeAttack):
    """The unchanged image: how often victims change their prediction by publishing alone."""

    traits = Traits("control")

    def _run(self, x: FloatImages) -> FloatImages:
        return x.copy()


class RandomNoise(ModelFreeAttack):
    """Random noise within the linf bound: an attack's perturbation without its direction.

    Each call seeds its own generator, so equal calls give equal images.

    Args:
        eps: linf bound in (0, 1].
        distribution: "sign" (plus or minus eps, the most noise within the bound) or "uniform".
        random_state: seed.

    Example:
        >>> from priemo_bench.attacks.control import RandomNoise
        >>> from priemo_bench.testing import toy_faces
        >>> x, y = toy_faces()
        >>> noisy = RandomNoise(eps=4 / 255, random_state=0).generate(x)
        >>> round(float(abs(noisy - x).max() * 255))
        4
    """

    traits: ClassVar[Traits] = Traits("control", knob="eps", strengths=EPS_GRID, random=True)
    attack_params = [*ModelFreeAttack.attack_params, "eps", "distribution", "random_state"]

    def __init__(
        self,
        classifier: PyTorchClassifier | None = None,
        eps: float = 8 / 255,
        distribution: Distribution = "sign",
        random_state: int | None = None,
    ) -> None:
        super().__init__(classifier)
        self.eps = eps
        self.distribution = distribution
        self.random_state = random_state
        self._check_params()

    def _run(self, x: FloatImages) -> FloatImages:
        noise = np.random.default_rng(self.random_state).uniform(-1, 1, x.shape)
        if self.distribution == "sign":
            noise = np.sign(noise)
        return np.clip(x + (self.eps * noise).astype(np.float32), 0, 1)

    def _check_params(self) -> None:
        require_eps(self.eps)
        if self.distribution not in get_args(Distribution):
            raise unknown("distributions", str(self.distribution), get_args(Distribution))
