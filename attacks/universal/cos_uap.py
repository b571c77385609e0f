"""Cos-UAP: the cosine between the logits with and without the perturbation, minimised by Adam.

Zhang, Benz, Karjauv & Kweon, "Data-free universal adversarial perturbation and black-box attack",
ICCV 2021, section 3; needs no labels. The paper fits on synthetic images; here it has the fit
faces. Random start, since the gradient of the cosine vanishes at zero.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from priemo_bench.attacks.universal.df_uap import BATCH, RATE
from priemo_bench.attacks.universal.minimize import minimize
from priemo_bench.attacks.universal.problem import Outputs, UniversalProblem


def cosine(outputs: Outputs) -> Tensor:
    """(n,) cosines of the logits."""
    return cosine_similarity(outputs.logits, outputs.clean_logits, dim=1)


def fit(problem: UniversalProblem) -> Tensor:
    """(1, c, h, w) within problem.eps."""
    lr = RATE * problem.eps
    return minimize(problem, cosine, torch.optim.Adam, lr, BATCH, random_start=True)
