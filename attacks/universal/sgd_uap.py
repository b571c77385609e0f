"""SGD-UAP (also sPGD): stochastic gradient ascent of a clamped cross-entropy.

Shafahi, Najibi, Xu, Dickerson, Davis & Goldstein, "Universal adversarial training", AAAI 2020,
arXiv:1811.11304, section 4 (eq. 6: the loss of a face is clamped at BETA, so that a single face
cannot dominate). Signed steps, whose size decays by DECAY ten times over the fit, follow the public
code of Co et al. (sgd-uap-torch).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from priemo_bench.attacks.universal.minimize import SignSGD, minimize
from priemo_bench.attacks.universal.problem import Outputs, UniversalProblem

BETA, DECAY, BATCH = 9.0, 0.8, 32


def clamped_cross_entropy(outputs: Outputs) -> Tensor:
    """(n,) minus the cross-entropy, clamped at BETA; targeted, the cross-entropy itself."""
    loss = cross_entropy(outputs.logits, outputs.labels, reduction="none")
    return loss if outputs.targeted else -loss.clamp(max=BETA)


def fit(problem: UniversalProblem) -> Tensor:
    """(1, c, h, w) within problem.eps."""
    return minimize(problem, clamped_cross_entropy, SignSGD, problem.eps, BATCH, decay=DECAY)
