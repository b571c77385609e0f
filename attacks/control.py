"""Controls: what any attack has to beat."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args

import numpy as np

from priemo_bench.attacks.base import ModelFreeAttack, require_eps
from priemo_bench.contracts.attack import EPS_GRID, Traits
from priemo_bench.contracts.image import FloatImages
from priemo_bench.registry import unknown

Distribution = Literal["sign", "uniform"]


class Nothing(ModelFreeAttack):
    """The image as it is: what it costs the victims to be read as published."""

    traits = Traits("control")

    def protect(self, x: FloatImages) -> FloatImages:
        return x.copy()


class RandomNoise(ModelFreeAttack):
    """Noise that knows nothing: the same size as an attack's perturbation, but no direction.

    Each call draws anew from `random_state`, so equal calls give equal images.

    Args:
        eps: largest change of a pixel, in (0, 1].
        distribution: "sign" (plus or minus eps, the most noise under that cap) or "uniform".
        random_state: seed.
    """

    traits: ClassVar[Traits] = Traits("control", knob="eps", strengths=EPS_GRID, random=True)
    attack_params = [*ModelFreeAttack.attack_params, "eps", "distribution", "random_state"]

    def __init__(
        self,
        classifier: Any = None,
        eps: float = 8 / 255,
        distribution: Distribution = "sign",
        random_state: int | None = None,
    ) -> None:
        super().__init__(classifier)
        self.eps = eps
        self.distribution = distribution
        self.random_state = random_state
        self._check_params()

    def protect(self, x: FloatImages) -> FloatImages:
        noise = np.random.default_rng(self.random_state).uniform(-1, 1, x.shape)
        if self.distribution == "sign":
            noise = np.sign(noise)
        return np.clip(x + (self.eps * noise).astype(np.float32), 0, 1)

    def _check_params(self) -> None:
        require_eps(self.eps)
        if self.distribution not in get_args(Distribution):
            raise unknown("distributions", str(self.distribution), get_args(Distribution))
