"""What the metrics of this package share: pinned weights, loaded once, and images in batches."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from priemo_bench.contracts.image import ByteImages, check_bytes
from priemo_bench.contracts.victim import freeze
from priemo_bench.contracts.weights.archive import Archive

BATCH = 50


class NetworkMetric:
    """A metric: what a network sees in published images (n, c, h, w) beside their originals.

    Args:
        archive: where the weights come from.
        build: folder of the installed files to the network.
        compare: network, originals and published images, RGB (n, 3, h, w) in [0, 1], to (n,)
            scores.
    """

    def __init__(
        self,
        archive: Archive,
        build: Callable[[Path], Any],
        compare: Callable[[Any, Tensor, Tensor], Tensor],
    ) -> None:
        self.archive, self.build, self.compare = archive, build, compare

    def install(self, archive: Path | None = None) -> Path:
        """Fetch the weights, on request only; see `Archive.install`."""
        return self.archive.install(archive)

    def check(self) -> None:
        """PriemoError when its weights are missing or not the pinned ones."""
        self.archive.checked()

    @cached_property
    def net(self) -> nn.Module:
        """The frozen network; PriemoError as `check`."""
        return freeze(self.build(self.archive.checked()))

    def __call__(self, x: ByteImages, y: ByteImages) -> npt.NDArray[np.float64]:
        """(n,) scores of published images `y` with originals `x`; NaN where there is none."""
        pairs = zip(self._batches(x, "x"), self._batches(y, "y"), strict=True)
        with torch.no_grad():
            scores = [self.compare(self.net, *pair) for pair in pairs]
        return torch.cat(scores).double().numpy()

    def _batches(self, images: ByteImages, name: str) -> tuple[Tensor, ...]:
        whole = torch.from_numpy(check_bytes(images, name))
        return tuple(part.expand(-1, 3, -1, -1) / 255 for part in whole.split(BATCH))
