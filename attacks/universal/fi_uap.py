"""FI-UAP: the distance of features from the clean ones, maximised by signed steps.

The feature-iterative baseline of Zhong & Deng, "OPOM: customized invisible cloak towards face
privacy protection", TPAMI 2022, arXiv:2205.11981, section 3.2: squared distance between the
normalised features with and without the perturbation. Scope class has a perturbation per emotion,
as the paper has one per person. Random start, since the gradient of the distance vanishes at zero.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize

from priemo_bench.attacks.universal.minimize import SignSGD, minimize
from priemo_bench.attacks.universal.problem import Outputs, UniversalProblem

BATCH, STEP = 32, 0.1
"""The step size is in eps."""


def negative_distance(outputs: Outputs) -> Tensor:
    """(n,) minus the squared distances of the normalised features, -4 to 0."""
    return -(normalize(outputs.features) - normalize(outputs.clean_features)).square().sum(1)


def fit(problem: UniversalProblem) -> Tensor:
    """(1, c, h, w) within problem.eps."""
    lr = STEP * problem.eps
    return minimize(problem, negative_distance, SignSGD, lr, BATCH, random_start=True)
