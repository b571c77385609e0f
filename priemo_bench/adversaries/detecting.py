"""The adversary does not undo protection, he looks for it: a detected image is not hidden."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from priemo_bench.adversaries.cases import Case, Finding

if TYPE_CHECKING:
    from priemo_bench.adversaries.detectors import Detector

FALSE_ALARMS = 0.01
KINDS = ("squeezing", "residual", "learned")


def findings(case: Case, variant: Mapping[str, Any]) -> Iterator[Finding]:
    """One detector, `variant["kind"]`, on each victim of the study.

    The alarm threshold is exceeded by 1 % of some clean faces of the choice split; others of it are
    what published images are told from. No face that is judged is among either.
    """
    from priemo_bench.adversaries.detectors import detection, threshold

    kind = str(variant["kind"])
    own = case.study.detecting.held
    faces = case.shuffled("choice", 2 * own).images
    held, clean = faces[: len(faces) // 2], faces[len(faces) // 2 :]
    begun = time.process_time()
    known = None if kind == "squeezing" else _detector(case, kind)
    for victim in case.study.victims:
        detector, threat, given = known or _squeezing(case, victim)
        found = detector.scores(case.test_published)
        limit = threshold(detector.scores(held), FALSE_ALARMS)
        area, rate = detection(detector.scores(clean), found, limit)
        facts = {"auroc": float(area), "tpr_at_1fpr": float(rate)}
        facts["seconds"] = time.process_time() - begun
        begun = time.process_time()
        yield case.finding(
            victim, adversary=f"detector, {kind}", threat=threat, given=given,
            flagged=found > limit,
            strength=float(case.study.detecting.pairs) if kind == "learned" else float("nan"),
            facts=facts,
        )  # fmt: skip


def _squeezing(case: Case, victim: str) -> tuple[Detector, str, str]:
    """A detector, the threat model, and what the adversary has."""
    from priemo_bench.adversaries.detectors import Squeezing

    return Squeezing(partial(case.probabilities, victim)), "oblivious", "the victim"


def _detector(case: Case, kind: str) -> tuple[Detector, str, str]:
    """One that needs no victim, the threat model, and what the adversary has."""
    from priemo_bench.adversaries.detectors import LearnedDetector, ResidualEnergy

    if kind == "residual":
        return ResidualEnergy(), "oblivious", "nothing"
    pairs = min(case.study.detecting.pairs, len(case.seen))
    clean, published = case.seen.images[:pairs], case.seen_published[:pairs]
    learned = LearnedDetector.fitted(clean, published, seed=case.study.seed)
    return learned, "informed", f"{pairs} pairs of the same attack"
