"""No adversary, a newer model, and what an attack costs its owner."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from priemo_bench.adversaries.cases import Case, Finding, similarity
from priemo_bench.contracts.image import to_float
from priemo_bench.run.perturb import Account, make_ready

TIMED, REPEATS = 100, 3
"""Faces that are timed, and how often, of which the fastest counts."""


def findings(case: Case, variant: Mapping[str, Any]) -> Iterator[Finding]:
    """What victims predict for published images; of `newer` ones, which nobody looked into.

    The adversary of a newer model does nothing but wait: a photo is protected once, and every model
    that comes later reads it (Radiya-Dixit et al. 2022, "oblivious").
    """
    facts = {"ssim": similarity(case.test.images, case.test_published)}
    own: dict[str, Any] = {"strength": float("nan"), "facts": facts, "threat": "oblivious"}
    for victim in case.study.victims:
        looked = "a surrogate" if victim in case.request.surrogates else "no surrogate"
        yield case.finding(victim, adversary="none", given=f"the victim is {looked}", **own)
    for victim in case.study.newer:
        yield case.finding(
            victim, adversary="newer model", given="a victim that nobody looked into", **own
        )


def costs(case: Case, variant: Mapping[str, Any]) -> Iterator[Finding]:
    """CPU milliseconds of an image, and passes of the fit before, at the first victim.

    Process time, of which other programs on the machine take nothing; the fastest of REPEATS.
    """
    attack = make_ready(case.request, case.place, Account())
    images = case.test.images[:TIMED]
    context, names = case.place.context, case.request.surrogates
    labels = context.labels(-1, case.test, names)
    labels = None if labels is None else labels[:TIMED]
    spent = []
    for _ in range(1 if case.traits.scope == "image" else REPEATS):
        begun = time.process_time()
        attack.generate(to_float(images), labels)
        spent.append(time.process_time() - begun)
    facts = {
        "ms_per_image": 1000 * min(spent) / len(images),
        "fit_passes": float(attack.fitting.backwards),
    }
    facts["ssim"] = similarity(case.test.images, case.test_published)
    yield case.finding(
        case.study.victims[0], adversary="cost", threat="oblivious", given="no adversary",
        strength=float("nan"), facts=facts,
    )  # fmt: skip
