"""SGD-UAP (also sPGD): stochastic gradient ascent of a clamped cross-entropy.

Shafahi, Najibi, Xu, Dickerson, Davis & Goldstein, "Universal adversarial training", AAAI 2020,
arXiv:1811.11304, section 4 (eq. 6: the loss of a face counts up to BETA, so that one face that is
fooled thoroughly does not take the place of others). Signed steps that shrink by DECAY ten times
over the descent follow the public code of Co et al. (sgd-uap-torch).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from priemo_bench.attacks.universal.descent import descend, sign
from priemo_bench.attacks.universal.task import Task, View

BETA, DECAY, BATCH = 9.0, 0.8, 32


def clamped(view: View) -> Tensor:
    """(n,) minus the cross-entropy, at most BETA of it; targeted, the cross-entropy itself."""
    loss = cross_entropy(view.logits, view.labels, reduction="none")
    return loss if view.targeted else -loss.clamp(max=BETA)


def learn(task: Task) -> Tensor:
    """(1, c, h, w) within task.eps."""
    return descend(task, clamped, sign(lambda done: task.eps * DECAY ** (10 * done)), BATCH)
