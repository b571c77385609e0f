"""FI-UAP: features leave their place, by signed steps along the mean gradient of a batch.

The feature-iterative baseline of Zhong & Deng, "OPOM: customized invisible cloak towards face
privacy protection", TPAMI 2022, arXiv:2205.11981, section 3.2: the squared distance between the
normalised features with and without the perturbation grows. Of scope class it has one perturbation
for each emotion, as the paper has one for each person. Starts at random: nothing pulls at zero.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize

from priemo_bench.attacks.universal.descent import descend, sign
from priemo_bench.attacks.universal.task import Task, View

BATCH, STEP = 32, 0.1
"""The step is in eps."""


def nearness(view: View) -> Tensor:
    """(n,) minus the squared distances of the normalised features, -4 to 0."""
    return -(normalize(view.features) - normalize(view.clean_features)).square().sum(1)


def learn(task: Task) -> Tensor:
    """(1, c, h, w) within task.eps."""
    return descend(task, nearness, sign(lambda _: STEP * task.eps), BATCH, random=True)
