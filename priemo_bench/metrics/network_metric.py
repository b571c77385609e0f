"""Base of learned metrics: pinned weights, loaded once, and images in batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from priemo_bench.contracts.image import ByteImages, check_bytes
from priemo_bench.contracts.metric import MetricValues
from priemo_bench.contracts.victim import freeze
from priemo_bench.contracts.weights import check_sha256
from priemo_bench.contracts.weights.archive import Archive

BATCH = 50
"""Images that go through a network at once."""
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Embedded:
    """Weights that come with this package, where others have an `Archive`: nothing to install.

    Attributes:
        name: of the metric. file, sha256: of the weights.
    """

    name: str
    file: Path
    sha256: str

    def checked(self) -> Path:
        """`file`; PriemoError when it has another SHA-256."""
        check_sha256(self.file, self.sha256)
        return self.file

    def install(self, archive: Path | None = None) -> Path:
        """Nothing but a word."""
        print(f"{self.name}: its weights come with this package, {self.file}")
        return self.checked()


class NetworkMetric(Generic[Network]):
    """A metric of published images (n, c, h, w) against their originals, computed by a network.

    Args:
        archive: the package that the weights come from, or a file of this one.
        build: folder of the installed files, or the file, to the network.
        compare: network, originals and published images, both RGB (n, 3, h, w) in [0, 1], to (n,)
            values.
    """

    def __init__(
        self,
        archive: Archive | Embedded,
        build: Callable[[Path], Network],
        compare: Callable[[Network, Tensor, Tensor], Tensor],
    ) -> None:
        self.archive, self.build, self.compare = archive, build, compare

    def install(self, archive: Path | None = None) -> Path:
        """Download the weights; see `Archive.install`."""
        return self.archive.install(archive)

    def check(self) -> None:
        """PriemoError when its weights are missing or not the pinned ones."""
        self.archive.checked()

    @cached_property
    def net(self) -> Network:
        """The frozen network; PriemoError as `check`."""
        net: Network = freeze(self.build(self.archive.checked()))
        return net

    def __call__(self, x: ByteImages, y: ByteImages) -> MetricValues:
        """(n,) values of published images `y` with originals `x`; NaN where undefined."""
        pairs = zip(_batches(x, "x"), _batches(y, "y"), strict=True)
        with torch.no_grad():
            values = [self.compare(self.net, *pair) for pair in pairs]
        found: MetricValues = torch.cat(values).double().numpy()
        return found


def _batches(images: ByteImages, name: str) -> list[Tensor]:
    """RGB floats in [0, 1], BATCH images at a time."""
    whole = torch.from_numpy(check_bytes(images, name))
    starts = range(0, len(whole), BATCH)
    return [whole[k : k + BATCH].expand(-1, 3, -1, -1) / 255 for k in starts]
