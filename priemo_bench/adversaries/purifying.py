"""The adversary has pairs of an image before and after protection, and learns to undo it.

An informed purifier (LightShed: Foerster et al., USENIX Security 2025; PuFace: arXiv:2406.02253)
and the owner's counter: Pri-EMO made with the purifier among its surrogates.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from priemo_bench import registry
from priemo_bench.adversaries.cases import Case, Finding, similarity
from priemo_bench.contracts.attack import make_attack
from priemo_bench.contracts.defense import Defense, HasStandIn
from priemo_bench.contracts.image import ByteImages, publish, to_float
from priemo_bench.contracts.victim import as_art, freeze
from priemo_bench.errors import PriemoError
from priemo_bench.run.perturb import isolated


def purifier(case: Case, pairs: int, seed: int) -> Defense:
    """Learnt from the first `pairs` leaked pairs of a case.

    Raises:
        PriemoError: fewer were published.
    """
    from priemo_bench.adversaries.purifier import fitted

    if pairs > len(case.seen):
        raise PriemoError(f"{pairs} pairs are wanted of {len(case.seen)} published images")
    found: Defense = fitted(case.seen.images[:pairs], case.seen_published[:pairs], seed=seed)
    return found


def findings(case: Case, variant: Mapping[str, Any]) -> Iterator[Finding]:
    """One purifier: `variant` has the number of pairs, and the label of the attack they are of."""
    source = case
    if name := variant.get("from"):
        source = Case(case.study.named(str(name)), case.study, case.place)
    begun = time.process_time()
    purify = purifier(source, int(variant["pairs"]), case.study.seed)
    seconds = time.process_time() - begun
    given = f"{variant['pairs']} pairs of {_kind(case, source)}"
    restored, spared = purify(case.test_published), purify(case.test.images)
    facts = {"ssim": similarity(case.test.images, restored), "seconds": seconds}
    for victim in case.study.victims:
        yield case.finding(
            victim, restored, spared, adversary="purifier", threat="informed", given=given,
            strength=float(variant["pairs"]), facts=facts,
        )  # fmt: skip


def _kind(case: Case, source: Case) -> str:
    if source.attack == case.attack:
        return "the same attack"
    if source.attack.name == case.attack.name:
        return f"the same attack on {'+'.join(source.request.surrogates)}"
    return f"another attack ({source.attack.title})"


class Behind(nn.Module):
    """A model that sees images through a defense; gradients are those of its stand-in.

    The value is the defense's own (BPDA: Athalye, Carlini & Wagner 2018); without a stand-in the
    gradient passes straight through.
    """

    def __init__(self, defense: Defense, model: nn.Module) -> None:
        super().__init__()
        self.defense, self.model = defense, model

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) in [0, 1] to the logits of the model."""
        with torch.no_grad():
            published = (x.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
            exact = torch.from_numpy(np.asarray(self.defense(published))).to(x)
        if x.requires_grad:
            smooth = self.defense.smooth(x) if isinstance(self.defense, HasStandIn) else x
            exact = smooth + (exact - smooth).detach()
        logits: Tensor = self.model(exact)
        return logits


def adaptive(case: Case, variant: Mapping[str, Any]) -> Iterator[Finding]:
    """The owner expects a purifier of so many pairs: his surrogates are to be fooled behind it too.

    He trains his own on his own pairs (seed + 1, other faces); the adversary's is as in `findings`.
    """
    pairs = int(variant["pairs"])
    adversary = purifier(case, pairs, case.study.seed)
    begun = time.process_time()
    published = _against(case, _own_purifier(case, pairs))
    seconds = time.process_time() - begun
    restored, spared = adversary(published), adversary(case.test.images)
    facts = {"ssim": similarity(case.test.images, restored), "seconds": seconds}
    for victim in case.study.victims:
        predict = partial(case.predict, victim)
        clean = case.place.context.clean_predictions(victim, case.test)
        yield Finding(
            "purifier, expected", "informed", f"{pairs} pairs of the attack before", float(pairs),
            victim, clean, predict(published), predict(spared), predict(restored), facts=facts,
        )  # fmt: skip


def _own_purifier(case: Case, pairs: int) -> Defense:
    from priemo_bench.adversaries.purifier import fitted

    faces = case.shuffled("fit", pairs)
    found: Defense = fitted(faces.images, case.published(faces), seed=case.study.seed + 1)
    return found


def _against(case: Case, purify: Defense) -> ByteImages:
    """What the attack publishes with each surrogate once as it is and once behind the purifier."""
    context, request = case.place.context, case.request
    _, channels, size, _ = case.test.images.shape
    models = [context.victims[name] for name in request.surrogates]
    models += [freeze(Behind(purify, model)) for model in models]
    classifiers = [as_art(model, channels, size) for model in models]
    attack = make_attack(
        registry.get("attacks", request.entry), classifiers, request.params, request.seed
    )
    labels = context.labels(-1, case.test, request.surrogates)
    with isolated(request.seed):
        return publish(attack.generate(to_float(case.test.images), labels))
