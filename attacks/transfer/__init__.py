"""Attacks on recognisers that are no surrogates: one paper, one file.

Further ones come with torchattack (`torchattack:BSR`, DeCoWA, GRA, Admix ...).
"""

from __future__ import annotations

from priemo_bench.attacks.transfer.adaea import AdaEA
from priemo_bench.attacks.transfer.base import RANDOM, TransferAttack
from priemo_bench.attacks.transfer.cwa import CWA
from priemo_bench.attacks.transfer.mef import MEF
from priemo_bench.attacks.transfer.ops import OPS
from priemo_bench.attacks.transfer.pgn import PGN
from priemo_bench.attacks.transfer.sia import SIA
from priemo_bench.attacks.transfer.smer import SMER
from priemo_bench.attacks.transfer.svre import SVRE
from priemo_bench.contracts.preset import Preset

__all__ = ["CWA", "MEF", "OPS", "PGN", "SIA", "SMER", "SVRE", "AdaEA", "TransferAttack"]


def _preset(attack: type[TransferAttack], summary: str, source: str) -> Preset:
    return Preset(attack, attack.traits, {}, summary, source)


sia = _preset(SIA, "blocks of the image changed independently", "Wang et al., ICCV 2023")
pgn = _preset(PGN, "gradient norm penalised at random neighbours", "Ge et al., NeurIPS 2023")
mef = _preset(MEF, "expected flatness at pushed neighbours", "Qiu et al., arXiv:2405.16181")
ops = _preset(OPS, "random noises and compositions of operators", "Guo et al., CVPR 2025")
svre = _preset(SVRE, "variance between surrogates reduced", "Xiong et al., CVPR 2022")
adaea = _preset(AdaEA, "surrogates weighted by how their steps carry", "Chen et al., ICCV 2023")
cwa = _preset(CWA, "surrogates one after another: common weakness", "Chen et al., ICLR 2024")
ssa_cwa = Preset(CWA, RANDOM, {"views": 20}, "CWA over spectral views", "Chen et al., ICLR 2024")
smer = _preset(SMER, "surrogates in shuffled rounds, reweighed", "Tang et al., CVPR 2024")
