"""Cos-UAP: the cosine between the logits with and without the perturbation, by Adam.

Zhang, Benz, Karjauv & Kweon, "Data-free universal adversarial perturbation and black-box attack",
ICCV 2021, section 3: no label is needed. The paper runs it on made-up images; here it has the fit
faces. Starts at random, since the cosine is flat at its top.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cosine_similarity

from priemo_bench.attacks.universal.descent import Adam, descend
from priemo_bench.attacks.universal.df_uap import BATCH, RATE
from priemo_bench.attacks.universal.task import Task, View


def cosine(view: View) -> Tensor:
    """(n,) cosines of the logits."""
    return cosine_similarity(view.logits, view.clean_logits, dim=1)


def learn(task: Task) -> Tensor:
    """(1, c, h, w) within task.eps."""
    return descend(task, cosine, Adam(RATE * task.eps), BATCH, random=True)
