"""OPOM: the distance of features from the convex hull of their class, one mask per class.

Zhong & Deng, "OPOM: customized invisible cloak towards face privacy protection", TPAMI 2022,
arXiv:2205.11981, section 3.3: maximises the distance between the normalised feature of a face with
the mask and the convex hull of those of the clean faces that the mask is fitted on. The paper has a
mask per person; here a class is an emotion. Of earlier methods it is the closest to a perturbation
per emotion by feature vectors.

The nearest point of the hull is found by Frank-Wolfe steps with exact line search, and is constant
in the gradient: that of a distance to a convex set is the same (Danskin 1967).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from priemo_bench.attacks.universal.fi_uap import BATCH, STEP
from priemo_bench.attacks.universal.minimize import SignSGD, minimize
from priemo_bench.attacks.universal.problem import Outputs, UniversalProblem

ITERATIONS = 30


def project_onto_hull(points: Tensor, corners: Tensor, iterations: int = ITERATIONS) -> Tensor:
    """(n, d) points to the nearest points of the convex hull of `corners` (m, d).

    Frank & Wolfe 1956; the distance found exceeds the true one by O(1 / iterations).
    """
    found = corners[torch.cdist(points, corners).argmin(1)]
    for _ in range(iterations):
        direction = corners[((points - found) @ corners.T).argmax(1)] - found
        squared_norm = direction.square().sum(1).clamp_min(1e-12)
        step = (((points - found) * direction).sum(1) / squared_norm).clamp(0, 1)
        found = found + step[:, None] * direction
    return found


def negative_hull_distance(outputs: Outputs) -> Tensor:
    """(n,) minus the squared distances of the normalised features from the hull."""
    features = normalize(outputs.features)
    with torch.no_grad():
        nearest = project_onto_hull(features, normalize(outputs.fit_features))
    return -(features - nearest).square().sum(1)


def fit(problem: UniversalProblem) -> Tensor:
    """(1, c, h, w) within problem.eps; the hull is that of the problem's faces."""
    lr = STEP * problem.eps
    return minimize(problem, negative_hull_distance, SignSGD, lr, BATCH, random_start=True)
