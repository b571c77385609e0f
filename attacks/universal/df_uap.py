"""DF-UAP: the logit margin, down to a confidence of KAPPA, minimised by Adam.

Zhang, Benz, Imtiaz & Kweon, "Understanding adversarial examples from the mutual influence of images
and perturbations", CVPR 2020, arXiv:2007.06189, eq. 3 (targeted; untargeted with the opposite
sign). The paper fits on images of another data set; here it has the fit faces.
"""

from __future__ import annotations

import torch
from torch import Tensor

from priemo_bench.attacks.universal.minimize import minimize
from priemo_bench.attacks.universal.problem import Outputs, UniversalProblem

KAPPA, BATCH = 10.0, 32
RATE = 0.005 / (10 / 255)
"""Learning rate in eps: the paper's for its bound of 10/255."""


def bounded_margin(outputs: Outputs) -> Tensor:
    """(n,) margins, at least -KAPPA."""
    return outputs.margin().clamp_min(-KAPPA)


def fit(problem: UniversalProblem) -> Tensor:
    """(1, c, h, w) within problem.eps."""
    return minimize(problem, bounded_margin, torch.optim.Adam, RATE * problem.eps, BATCH)
