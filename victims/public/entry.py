"""What the entry points of public recognisers share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from priemo_bench.contracts.card import Card
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.victim import Victim, freeze
from priemo_bench.contracts.weights.archive import Archive

PUBLIC_TEST = (467, 56, 496, 895, 653, 415, 607)
"""Faces of FER2013 PublicTest, in emotion order."""


@dataclass(frozen=True)
class Public:
    """A recogniser that nobody here trained: `install()` gets its weights, once; call it to read.

    Attributes:
        archive: where the weights come from.
        build: folder of the installed files to the network with its weights.
        architecture, training_data, data, authors: for the card.
        read: faces of FER2013 PublicTest read correctly, in emotion order (test_public.py).
    """

    archive: Archive
    build: Callable[[Path], Victim]
    architecture: str
    training_data: str
    authors: tuple[str, ...]
    data: tuple[str, ...]
    read: tuple[int, ...]

    def install(self, archive: Path | None = None) -> Path:
        """Fetch the weights, on request only; see `Archive.install`."""
        return self.archive.install(archive)

    def __call__(self) -> Victim:
        """The frozen victim; PriemoError when its weights are missing or not the pinned ones."""
        victim = self.build(self.archive.checked())
        victim.card = Card(
            name=self.archive.victim,
            architecture=self.architecture,
            parameters=sum(p.numel() for p in victim.parameters()),
            input=f"{victim.size}x{victim.size} {'grey' if victim.channels == 1 else 'RGB'}",
            training_data=self.training_data,
            data=self.data,
            authors=self.authors,
            licence=self.archive.licence,
            sha256=next(iter(self.archive.files.values())),
            accuracy={"FER2013 PublicTest": self._accuracy()},
        )
        freeze(victim)
        return victim

    def _accuracy(self) -> dict[str, Any]:
        """In the form of `priemo_bench.train.measure.accuracy`."""

        def rate(right: int, n: int) -> dict[str, float]:
            low, high = binomtest(right, n).proportion_ci(method="wilson")
            values = {"value": right / n, "low": low, "high": high}
            return {**{name: round(v, 6) for name, v in values.items()}, "n": n, "persons": n}

        recall = zip(EMOTIONS, self.read, PUBLIC_TEST, strict=True)
        return {
            "overall": rate(sum(self.read), sum(PUBLIC_TEST)),
            "recall": {emotion: rate(right, n) for emotion, right, n in recall},
        }
