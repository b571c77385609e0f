"""A toy victim that logs how many images it sees."""

from __future__ import annotations

import torch
from torch import Tensor

from priemo_bench.testing import ToyVictim
from toyplugin.log import log


class Logged(ToyVictim):
    """A `ToyVictim` with a name in the log."""

    def __init__(self, name: str, seed: int) -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # weights come of a QR, whose last bits depend on the threads
        super().__init__(seed)
        torch.set_num_threads(threads)
        self.name = name

    def embed(self, x: Tensor) -> Tensor:
        log(f"victim {self.name}", len(x))
        return super().embed(x)
