"""Entry points of public classifiers, whose weights others have trained and published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import binomtest

from priemo_bench.contracts.card import Card
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.victim import Victim, freeze
from priemo_bench.contracts.weights.archive import Archive

PUBLIC_TEST = (467, 56, 496, 895, 653, 415, 607)
"""Faces of FER2013 PublicTest, in emotion order."""


@dataclass(frozen=True)
class PublicVictim:
    """Entry point of a public classifier: `install()` downloads its weights, calling it loads it.

    Attributes:
        archive: the package that its weights come from.
        build: folder of the installed files to the network with its weights.
        architecture, training_data, data, authors: for the card.
        correct_counts: correctly classified faces of FER2013 PublicTest, in emotion order, as
            measured by `PRIEMO_FER2013=fer2013.csv pytest -m slow tests/victims/public`.
    """

    archive: Archive
    build: Callable[[Path], Victim]
    architecture: str
    training_data: str
    authors: tuple[str, ...]
    data: tuple[str, ...]
    correct_counts: tuple[int, ...]

    def install(self, archive: Path | None = None) -> Path:
        """Download the weights; see `Archive.install`."""
        return self.archive.install(archive)

    def __call__(self) -> Victim:
        """The frozen victim; PriemoError when its weights are missing or not the pinned ones."""
        victim = self.build(self.archive.checked())
        victim.card = Card(
            name=self.archive.name,
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
        return freeze(victim)

    def _accuracy(self) -> dict[str, object]:
        """Accuracy and recall of each emotion, as in `Card.accuracy`."""
        recall = zip(EMOTIONS, self.correct_counts, PUBLIC_TEST, strict=True)
        return {
            "overall": _share(sum(self.correct_counts), sum(PUBLIC_TEST)),
            "recall": {emotion: _share(correct, n) for emotion, correct, n in recall},
        }


def _share(correct: int, n: int) -> dict[str, float]:
    """A share with its Wilson 95 % interval."""
    low, high = binomtest(correct, n).proportion_ci(method="wilson")
    values = {"value": correct / n, "low": low, "high": high}
    return {**{name: round(float(v), 6) for name, v in values.items()}, "n": n, "persons": n}
