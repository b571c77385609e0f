"""The fitted perturbation or generator is leaked: it is subtracted as exactly as 8 bits allow.

Whoever has what was fitted can publish any image himself. The change of a published image y is
nearly that of its original x, as both depend on the image only through what they have in common;
x = y - (protect(x) - x) is solved by fixed-point iteration from x = y.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from functools import partial
from typing import Any

import numpy as np
import torch

from priemo_bench.adversaries.cases import Case, Finding, similarity
from priemo_bench.contracts.image import EMOTIONS, ByteImages, Labels, publish, to_float
from priemo_bench.contracts.predict import Probabilities
from priemo_bench.run.perturb import Account, make_ready

Publish = Callable[[ByteImages], ByteImages]
STEPS = 2
"""Of the iteration; the first is exact for a perturbation that is one for all, but for clipping."""


def undo(published: ByteImages, protect: Publish, steps: int = STEPS) -> ByteImages:
    """Images (n, c, h, w) without the perturbation that `protect` adds.

    Example:
        >>> import numpy as np
        >>> x = np.full((1, 1, 2, 2), 100, np.uint8)
        >>> undo(x + 3, lambda image: image + 3).max()
        np.uint8(100)
    """
    x = published
    for _ in range(steps):
        change = protect(x).astype(np.int16) - x
        x = np.clip(published - change, 0, 255).astype(np.uint8)
    return x


def most_confident(
    candidates: Sequence[ByteImages], predict: Callable[[ByteImages], Probabilities]
) -> ByteImages:
    """(n, c, h, w) for each image the candidate whose prediction is the surest."""
    surest = np.stack([predict(images).max(1) for images in candidates]).argmax(0)
    chosen: ByteImages = np.stack(candidates)[surest, np.arange(len(surest))]
    return chosen


def findings(case: Case, variant: Mapping[str, Any]) -> Iterator[Finding]:
    """The adversary on each victim of the study.

    Of perturbations for each emotion, or of a pool of which the key is secret, he does not know
    which one an image has: he undoes each and keeps the surest prediction. "emotion known" tells
    him the emotion, not the member of a pool.
    """
    begun = time.process_time()
    groups = _members(case)
    per_class = case.traits.scope == "class"
    published, clean = case.test_published, case.test.images
    undone = {k: [undo(published, member(y)) for member, y in own] for k, own in groups.items()}
    spared = {k: [undo(clean, member(y)) for member, y in own] for k, own in groups.items()}
    seconds = time.process_time() - begun
    for victim in case.study.victims:
        predict = partial(case.probabilities, victim)
        every = [images for own in undone.values() for images in own]
        others = [images for own in spared.values() for images in own]
        tries = [("leak", every, others)]
        if per_class:
            emotions = case.place.context.predictions(case.request.surrogates, case.test)
            known = [_picked(undone, emotions, k) for k in range(len(undone[0]))]
            spared_known = [_picked(spared, emotions, k) for k in range(len(spared[0]))]
            tries.append(("leak, emotion known", known, spared_known))
        for name, candidates, clean_candidates in tries:
            restored = most_confident(candidates, predict)
            yield case.finding(
                victim, restored, most_confident(clean_candidates, predict),
                adversary=name, threat="informed", strength=float(len(candidates)),
                given=f"what was fitted; {len(candidates)} tries an image",
                facts={"ssim": similarity(clean, restored), "seconds": seconds},
            )  # fmt: skip


Member = tuple[Callable[[int | None], Publish], int | None]


def _members(case: Case) -> dict[int, list[Member]]:
    """For each emotion (0 for all, where there is one for all) the ways to publish an image."""
    ready = make_ready(case.request, case.place, Account())
    attack = getattr(ready.generate, "__self__", None)
    ways: list[Callable[[int | None], Publish]] = [partial(_of_case, case)]
    if callable(getattr(attack, "members_of", None)):
        ways = [partial(_of_member, attack, k) for k in range(attack.members)]  # type: ignore[union-attr]
    emotions: Sequence[int | None] = [None]
    if case.traits.scope == "class":
        emotions = range(len(EMOTIONS))
    return {k: [(way, emotion) for way in ways] for k, emotion in enumerate(emotions)}


def _of_case(case: Case, emotion: int | None) -> Publish:
    return lambda x: case.apply(x, _all(emotion, len(x)))


def _of_member(attack: Any, k: int, emotion: int | None) -> Publish:
    """Member `k` of a keyed pool, whatever its key would choose."""
    one = copy(attack)
    one.members_of = lambda x: torch.full((len(x),), k)
    return lambda x: publish(one.apply(to_float(x), _all(emotion, len(x))))


def _all(emotion: int | None, n: int) -> Labels | None:
    return None if emotion is None else np.full(n, emotion, np.int64)


def _picked(undone: Mapping[int, Sequence[ByteImages]], emotions: Labels, k: int) -> ByteImages:
    """(n, c, h, w) undone by member k, each image for its own emotion."""
    return np.stack([undone[int(emotion)][k][i] for i, emotion in enumerate(emotions)])
