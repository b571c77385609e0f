"""A case: an attack at its budget, with what an adversary may be given of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from priemo_bench import registry
from priemo_bench.adversaries.study import AttackStudy, Study
from priemo_bench.contracts.attack import Traits
from priemo_bench.contracts.dataset import Dataset, FaceSet, Split
from priemo_bench.contracts.image import ByteImages, FloatImages, Labels, publish, to_float
from priemo_bench.contracts.predict import Probabilities
from priemo_bench.quality.budget import Budget, match_budget_tensor
from priemo_bench.quality.structural import ssim_cropped
from priemo_bench.run.context import RunContext
from priemo_bench.run.perturb import (
    Account,
    Request,
    Workplace,
    blocks_of,
    make_ready,
    perturbation,
)

Threat = str
"""What an adversary knows: "oblivious" nothing; "aware" how the method works; "adaptive" that, and
he trains against it; "informed" also something that leaked. See docs/adversaries.md."""
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Finding:
    """What one adversary made of an attack's test faces, on one victim.

    Attributes:
        adversary, threat: who, and what he knows. given: what he has, in words.
        strength: how much of it (images, pairs, a share); NaN where there is no measure.
        victim: whose predictions.
        clean, before: (n,) predictions of original and published faces without the adversary.
        clean_after, after: the same with him.
        flagged: (n,) published faces that he takes for protected; None where he does not look.
        facts: `ssim`, mean SSIM of what he restored to the originals; `error`, RMS in grey levels
            of his estimate; `auroc`, `tpr_at_1fpr` of a detector; `seconds`; `ms_per_image`,
            `fit_passes` of the attack.
    """

    adversary: str
    threat: Threat
    given: str
    strength: float
    victim: str
    clean: Labels
    before: Labels
    clean_after: Labels
    after: Labels
    flagged: Flags | None = None
    facts: dict[str, float] = field(default_factory=dict)


class StudyContext(RunContext):
    """The data set and victims of a study; also the splits that victims train on."""

    @cached_property
    def _source(self) -> Dataset:
        wanted = self.spec.datasets[0]
        source: Dataset = registry.get("datasets", wanted.name)(wanted.data, wanted.size)
        return source

    def split(self, dataset: str, split: Split) -> FaceSet:
        """A whole split."""
        if (dataset, split) not in self._splits:
            self._splits[dataset, split] = self._source.split(split)
        return self._splits[dataset, split]


@dataclass
class Case:
    """An attack of a study.

    Attributes:
        place: where images are made and kept.
    """

    attack: AttackStudy
    study: Study
    place: Workplace

    @property
    def traits(self) -> Traits:
        """Of the attack."""
        traits: Traits = registry.get("attacks", self.attack.name).traits
        return traits

    @property
    def budget(self) -> Budget | None:
        """What every published image keeps; None at conventional settings."""
        if self.attack.ssim_floor is None and self.attack.eps is None:
            return None
        return Budget(self.attack.ssim_floor, self.attack.eps)

    @property
    def request(self) -> Request:
        """The attack with all that decides its perturbations but the faces."""
        attack, study, traits = self.attack, self.study, self.traits
        bounds: dict[str, object] = {}
        if self.budget is not None and traits.budgeted:
            bounds = {"ssim_floor": attack.ssim_floor, "eps": attack.eps}
        elif self.budget is not None and traits.knob == "eps":
            bounds = {"eps": attack.eps}
        surrogates = attack.surrogates or study.surrogates
        return Request(
            attack.name, {**bounds, **attack.params},
            () if traits.surrogates == "none" else surrogates,
            -1, study.seed, study.dataset.name, study.fit_limit,
        )  # fmt: skip

    @cached_property
    def test(self) -> FaceSet:
        """The faces that everything is judged on."""
        return self.faces("test", self.study.dataset.limit)

    def faces(self, split: Split, n: int | None) -> FaceSet:
        """A sample of `n` faces of a split; the whole for None."""
        return self.place.context.faces(self.study.dataset.name, split, n, 0)

    def shuffled(self, split: Split, n: int) -> FaceSet:
        """The first `n` faces of a split in a random order, which does not depend on `n`."""
        faces = self.faces(split, None)
        return faces.take(np.random.default_rng(self.study.seed).permutation(len(faces))[:n])

    @cached_property
    def seen(self) -> FaceSet:
        """Faces of the train split, whose published images may get around."""
        return self.shuffled("train", self.attack.seen)

    @cached_property
    def seen_published(self) -> ByteImages:
        """The published images of `seen`."""
        return self.published(self.seen)

    @cached_property
    def test_published(self) -> ByteImages:
        """The published images of `test`."""
        return self.published(self.test)

    def published(self, faces: FaceSet, account: Account | None = None) -> ByteImages:
        """(n, c, h, w) what the attack publishes of some faces; made once, and kept."""
        key = perturbation(self.request, faces, self.place, account or Account())
        stored = self.place.store.perturbation(key)
        blocks = zip(blocks_of(len(faces)), stored, strict=True)
        return np.concatenate(
            [
                self._publish(faces.images[rows], change.astype(np.float32))
                for rows, change in blocks
            ]
        )

    def apply(self, x: ByteImages, y: Labels | None = None) -> ByteImages:
        """What the fitted attack publishes of images with the emotions `y`; nothing is kept."""
        attack = make_ready(self.request, self.place, Account())
        changed = attack.generate(to_float(x), y)
        return self._publish(x, (changed - to_float(x)) * 255)

    def _publish(self, x: ByteImages, change: FloatImages) -> ByteImages:
        """Originals plus a change in grey levels, matched to the budget unless the attack does."""
        if self.budget is None or self.traits.budgeted:
            return publish(np.clip(to_float(x) + change / 255, 0, 1).astype(np.float32))
        found = match_budget_tensor(
            torch.from_numpy(np.array(x)), torch.from_numpy(change), self.budget, dither=True
        )
        return np.asarray(found.numpy(), np.uint8)

    def probabilities(self, victim: str, x: ByteImages | FloatImages) -> Probabilities:
        """(n, 7) of a victim."""
        return self.place.context.probabilities(victim, x)

    def predict(self, victim: str, x: ByteImages | FloatImages) -> Labels:
        """(n,) predictions of a victim."""
        return np.asarray(self.probabilities(victim, x).argmax(1), np.int64)

    def finding(
        self,
        victim: str,
        restored: ByteImages | FloatImages | None = None,
        clean_restored: ByteImages | FloatImages | None = None,
        **own: object,
    ) -> Finding:
        """A finding on a victim of the context, from what the adversary made of the test faces.

        Args:
            restored, clean_restored: of published and of original faces; None leaves them alone.
            own: further fields of the `Finding`.
        """
        clean = self.place.context.clean_predictions(victim, self.test)
        before = self.predict(victim, self.test_published)
        given: dict[str, object] = {
            "clean": clean,
            "before": before,
            "clean_after": clean
            if clean_restored is None
            else self.predict(victim, clean_restored),
            "after": before if restored is None else self.predict(victim, restored),
        }
        return Finding(victim=victim, **{**given, **own})  # type: ignore[arg-type]


def similarity(x: ByteImages, y: ByteImages | FloatImages) -> float:
    """Mean SSIM of restored images to originals `x`."""
    restored = y.astype(np.uint8) if y.dtype == np.uint8 else publish(y)
    return float(ssim_cropped(x, restored).mean())
