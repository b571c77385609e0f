"""What averaging 100 published images of each emotion leaves of scope class, and of a keyed pool.

    PRIEMO_FER2013=fer2013.csv pytest -m slow -n 0 -s tests/benchmarks/test_pool.py

fits both on 200 faces of the fit split (white-box on `resnet`, the emotions that it predicts) and
prints protection before and after an adversary subtracts what he estimates. He has published faces
of the train split and knows their emotions, and takes their mean less that of public faces, plainly
and with the Wiener filter (`adversaries/averaging.py`). Beside it the mean difference of
pairs of a face and its published image, which need a leak.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from priemo_bench import registry
from priemo_bench.adversaries.averaging import Estimates, estimates_of, subtract
from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.image import ByteImages, Labels, publish, to_float
from priemo_bench.contracts.predict import predict
from priemo_bench.contracts.victim import as_art
from priemo_bench.data.sampling import sample

FIT, TEST, SEEN, PUBLIC = 200, 1000, 100, 3000
"""Faces: to fit on, to judge, published and averaged for each emotion, public."""
PASSES = 18
"""Over the fit faces, for each member: 112 mini-batches, a quarter of the default."""
BUDGETS = ((0.997, 8 / 255), (0.98, 16 / 255))


@dataclass
class Faces:
    """The victim, and faces by what they are for, with what it predicts of the clean ones."""

    victim: torch.nn.Module
    fit: tuple[FaceSet, Labels]
    test: tuple[FaceSet, Labels]
    seen: tuple[FaceSet, Labels]
    public: tuple[FaceSet, Labels]


@pytest.fixture(scope="module")
def faces() -> Faces:
    if "PRIEMO_FER2013" not in os.environ:
        pytest.skip("PRIEMO_FER2013 names no file")
    data = registry.get("datasets", "fer2013")(Path(os.environ["PRIEMO_FER2013"]), None)
    victim = registry.get("victims", "resnet")()
    train = data.split("train")
    train = train.take(np.random.default_rng(0).permutation(len(train))[: 2 * PUBLIC])
    read = predict(victim, train.images)
    rows = [np.flatnonzero(read[:PUBLIC] == k)[:SEEN] for k in range(7)]
    seen, public = np.concatenate(rows), np.arange(PUBLIC, 2 * PUBLIC)
    fit, test = sample(data.split("fit"), FIT), sample(data.split("test"), TEST)
    return Faces(
        victim,
        (fit, predict(victim, fit.images)),
        (test, predict(victim, test.images)),
        (train.take(seen), read[seen]),
        (train.take(public), read[public]),
    )


def left(faces: Faces, name: str, floor: float, eps: float) -> dict[str, float]:
    """Protection before, and after each estimate is subtracted, of faces read correctly."""
    attack: Any = registry.get("attacks", name)(
        as_art(faces.victim, 1, 48), ssim_floor=floor, eps=eps, steps=PASSES, random_state=0,
        verbose=False,
    )  # fmt: skip
    (fit, fit_y), (test, y), (seen, seen_y), (public, public_y) = (
        faces.fit, faces.test, faces.seen, faces.public
    )  # fmt: skip
    attack.fit(to_float(fit.images), fit_y)

    def published(images: ByteImages, labels: Labels) -> ByteImages:
        return publish(attack.apply(to_float(images), labels))

    protected, given = published(test.images, y), published(seen.images, seen_y)
    pairs = [given[seen_y == k] / 255 - seen.images[seen_y == k] / 255 for k in range(7)]
    estimates: dict[str, Callable[[], Estimates]] = {
        "nothing": lambda: np.zeros((7, *test.images.shape[1:])),
        "plain": lambda: estimates_of(given, seen_y, public.images, public_y, SEEN, "plain"),
        "Wiener": lambda: estimates_of(given, seen_y, public.images, public_y, SEEN, "Wiener"),
        "pairs": lambda: np.stack([own.mean(0) for own in pairs]),
    }
    right, rates = y == test.labels, {}
    for title, estimate in estimates.items():
        restored, clean = (subtract(x, estimate(), y) for x in (protected, test.images))
        after = predict(faces.victim, restored) != test.labels
        kept = right & (predict(faces.victim, clean) == test.labels)
        rates[title] = float(after[kept].mean())
        print(
            f"\n{name} {floor:g}, {title}: {100 * rates[title]:.1f} % of the {kept.sum()} read "
            f"correctly when clean faces are handled too, {100 * after[right].mean():.1f} % of all "
            f"{right.sum()}",
            end="",
        )
    return rates


@pytest.mark.slow
@pytest.mark.parametrize(("floor", "eps"), BUDGETS)
def test_a_pool_keeps_more_of_its_protection(faces: Faces, floor: float, eps: float) -> None:
    kept = {}
    for name in ("priemo-class", "priemo-pool"):
        rates = left(faces, name, floor, eps)
        kept[name] = {title: rates[title] / rates["nothing"] for title in ("plain", "Wiener")}
        print(f"\n{name} {floor:g} keeps {kept[name]}", end="")
    assert kept["priemo-pool"]["Wiener"] > kept["priemo-class"]["Wiener"]
