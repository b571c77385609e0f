"""OPOM: features leave the hull of their class; a mask for each class.

Zhong & Deng, "OPOM: customized invisible cloak towards face privacy protection", TPAMI 2022,
arXiv:2205.11981, section 3.3: the distance grows between the normalised feature of a face with the
mask and the convex hull of those of the faces that the mask is for. The paper has a mask for each
person, whose faces are the class; here it is an emotion. Of all earlier designs this is the closest
to a perturbation for each emotion made of feature vectors.

The nearest point of the hull is found by Frank-Wolfe steps with exact line search on weights of the
faces, and held while the gradient is taken: the gradient of a distance to a convex set is the same
(Danskin 1967).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from priemo_bench.attacks.universal.descent import descend, sign
from priemo_bench.attacks.universal.fi_uap import BATCH, STEP
from priemo_bench.attacks.universal.task import Task, View

ITERATIONS = 30


def nearest(points: Tensor, corners: Tensor, iterations: int = ITERATIONS) -> Tensor:
    """(n, d) points to the nearest points of the convex hull of `corners` (m, d).

    Frank & Wolfe 1956; the distance found exceeds the true one by O(1 / iterations).
    """
    found = corners[torch.cdist(points, corners).argmin(1)]
    for _ in range(iterations):
        towards = corners[((points - found) @ corners.T).argmax(1)] - found
        length = towards.square().sum(1).clamp_min(1e-12)
        share = (((points - found) * towards).sum(1) / length).clamp(0, 1)
        found = found + share[:, None] * towards
    return found


def nearness(view: View) -> Tensor:
    """(n,) minus the squared distances of the normalised features from the hull."""
    features = normalize(view.features)
    with torch.no_grad():
        inside = nearest(features, normalize(view.population))
    return -(features - inside).square().sum(1)


def learn(task: Task) -> Tensor:
    """(1, c, h, w) within task.eps; the hull is that of the task's faces."""
    return descend(task, nearness, sign(lambda _: STEP * task.eps), BATCH, random=True)
