"""Embedded victims, adversarially trained at further strengths, from the weights of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from priemo_bench.victims.zoo import EmbeddedVictim, botnet, repvgg, repvgg_robust, resnet

if TYPE_CHECKING:
    from priemo_bench.victims.timm_victim import TimmVictim


@dataclass(frozen=True, repr=False)
class FineTuned(EmbeddedVictim):
    """Entry point of an embedded victim whose training starts from the weights of another.

    Attributes:
        origin: the other, of the same network.

    Example:
        >>> repvgg_robust_1.origin
        EmbeddedVictim('repvgg')
    """

    origin: EmbeddedVictim = repvgg

    def initial(self) -> TimmVictim:
        """The network with the weights of `origin`; PriemoError when they are not its card's."""
        from priemo_bench.contracts.weights import check_sha256, load_weights

        check_sha256(self.origin.weights, self.origin.card.sha256)
        victim = self.build()
        load_weights(victim, self.origin.weights)
        return victim


repvgg_robust_1 = FineTuned("repvgg-robust-1", origin=repvgg)
repvgg_robust_4 = FineTuned("repvgg-robust-4", origin=repvgg_robust)
resnet_robust_1 = FineTuned("resnet-robust-1", origin=resnet)
botnet_robust_1 = FineTuned("botnet-robust-1", origin=botnet)

ROBUST = (repvgg_robust_1, repvgg_robust_4, resnet_robust_1, botnet_robust_1)
