"""DF-UAP: the margin of the logits, to a confidence of KAPPA and no further, by Adam.

Zhang, Benz, Imtiaz & Kweon, "Understanding adversarial examples from the mutual influence of images
and perturbations", CVPR 2020, arXiv:2007.06189, eq. 3 (targeted; the same with its sign changed
leaves the label). The paper needs no original faces and takes others; here it has the fit faces.
"""

from __future__ import annotations

from torch import Tensor

from priemo_bench.attacks.universal.descent import Adam, descend
from priemo_bench.attacks.universal.task import Task, View

KAPPA, BATCH = 10.0, 32
RATE = 0.005 / (10 / 255)
"""Of Adam, in eps: the paper's for its bound of 10/255."""


def bounded_margin(view: View) -> Tensor:
    """(n,) margins, at least -KAPPA."""
    return view.margin().clamp_min(-KAPPA)


def learn(task: Task) -> Tensor:
    """(1, c, h, w) within task.eps."""
    return descend(task, bounded_margin, Adam(RATE * task.eps), BATCH)
