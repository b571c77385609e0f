"""Which loss Pri-EMO takes by default, scope by scope and question by question, on fit faces alone.

    PRIEMO_FER2013=fer2013.csv pytest -m slow -s tests/benchmarks/test_defaults.py

prints the protection rate of each loss on faces that no attack learned from (half an hour of one
core), and fails where another loss is better than the default beyond chance.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from priemo_bench import registry
from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.image import publish, to_float
from priemo_bench.contracts.outcomes import hit, protected
from priemo_bench.contracts.predict import probabilities
from priemo_bench.judge.difference import difference, holm
from priemo_bench.judge.ranking import ALPHA
from priemo_bench.judge.statistics import RateEstimate
from priemo_bench.run.context import RunContext
from priemo_bench.run.spec import parse

EMBEDDED = (
    "resnet", "vgg", "effnet-lite", "repvgg", "repvgg-twin", "repvgg-robust", "botnet", "pvt",
    "convnext",
)  # fmt: skip
LOSSES = ("both", "logit", "feature")
HELD = 180
"""Fit faces that judge; none of those that are learned from."""
FLOORS = {0.997: 8 / 255, 0.98: 16 / 255}


@pytest.fixture(scope="module")
def lab() -> RunContext:
    spec = {"datasets": [{"name": "fer2013", "data": os.environ["PRIEMO_FER2013"]}],
            "victims": EMBEDDED, "attacks": [{"name": "pgd"}]}  # fmt: skip
    return RunContext(parse(spec))


def halves(lab: RunContext) -> tuple[FaceSet, FaceSet]:
    """Faces to learn from and faces that judge, both of the fit split."""
    order = np.random.default_rng(0).permutation(len(lab.split("fer2013", "fit")))
    whole = lab.split("fer2013", "fit")
    return whole.take(order[HELD : HELD + 500]), whole.take(order[:HELD])


def turns(question: str, held: FaceSet) -> Iterator[tuple[FaceSet, tuple[str, ...], str]]:
    """Faces, surrogates and the recogniser that judges."""
    if question == "transfer":
        for k, name in enumerate(EMBEDDED):
            rest = tuple(other for other in EMBEDDED if other != name)
            yield held.take(np.arange(k, len(held), len(EMBEDDED))), rest, name
        return
    for name in ("resnet", "vgg"):
        yield held, (name,), name


def outcome(
    lab: RunContext, entry: str, question: str, floor: float, loss: str
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(n,) outcomes on the faces of each turn, and their ids."""
    fit, held = halves(lab)
    for faces, names, judge in turns(question, held):
        models = lab.classifiers(entry, names, "fer2013")
        told, learned = lab.predictions(names, faces), lab.predictions(names, fit)
        params: dict[str, Any] = {"ssim_floor": floor, "eps": FLOORS[floor], "loss": loss}
        if question == "targeted":
            told = (told + 1 + np.arange(len(told)) % 6) % 7
            params["targeted"] = True
        attack = registry.get("attacks", entry)(
            models[0], surrogates=tuple(models[1:]), verbose=False, **params
        ).fit(to_float(fit.images), learned)
        use = attack.generate if attack.scope == "image" else attack.apply
        now = probabilities(
            lab.victims[judge], publish_and_float(use(to_float(faces.images), told))
        )
        clean = lab.predictions([judge], faces)
        if question == "targeted":
            yield hit(faces.labels, clean, now.argmax(1), told), faces.ids
        else:
            yield protected(faces.labels, clean, now.argmax(1)), faces.ids


def publish_and_float(x: np.ndarray) -> np.ndarray:
    """What a recogniser is shown: the published image."""
    return to_float(publish(x))


@pytest.mark.slow
@pytest.mark.skipif("PRIEMO_FER2013" not in os.environ, reason="PRIEMO_FER2013 names no file")
@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize(
    ("entry", "question"),
    [
        ("priemo-image", "white-box"),
        ("priemo-image", "targeted"),
        ("priemo-transfer", "transfer"),
        ("priemo-universal", "white-box"),
        ("priemo-class", "white-box"),
    ],
)
def test_no_loss_is_better_than_the_default(
    lab: RunContext, entry: str, question: str, floor: float
) -> None:
    default = registry.get("attacks", entry)(lab.classifiers(entry, ("vgg",), "fer2013")[0]).loss
    ids = {name: k for k, name in enumerate(halves(lab)[1].ids)}
    estimates = {}
    for loss in LOSSES:
        columns = [
            (o[None], np.array([ids[i] for i in own]), 1.0)
            for o, own in outcome(lab, entry, question, floor, loss)
        ]
        estimates[loss] = RateEstimate.of(columns, HELD)
    rates = {loss: f"{rate.value:.3f}" for loss, rate in estimates.items()}
    print(f"{entry}, {question}, {floor}: {rates}; default {default}")
    others = [loss for loss in LOSSES if loss != default]
    found = [difference(estimates[loss], estimates[default]) for loss in others]
    for loss, p, change in zip(others, holm([d.p for d in found]), found, strict=True):
        assert change.value <= 0 or p >= ALPHA, f"{loss} protects more than {default}"
