"""The measured fields of a card: accuracy, calibration, robust accuracy and speed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from priemo_bench.contracts.dataset import FaceSet, Strings
from priemo_bench.contracts.image import EMOTIONS, ByteImages, Labels, to_float
from priemo_bench.contracts.predict import device_of, margin, predict, probabilities
from priemo_bench.data.sampling import sample
from priemo_bench.judge.statistics import RateEstimate
from priemo_bench.progress import Progress
from priemo_bench.train.adversarial import pgd
from priemo_bench.train.speed import speed

BINS = 15
BUDGETS = (1, 2, 4, 8)
"""linf budgets in grey levels of 255."""
STEPS = 20
ATTACKED = 200
"""Faces of each set that PGD is run on, always the same."""
BATCH = 32
"""Images that are attacked at once."""


class CardRate(TypedDict):
    """A share with its Wilson 95 % interval, of n images that show so many persons."""

    value: float
    low: float
    high: float
    n: int
    persons: int


class CardAccuracy(TypedDict):
    """Overall accuracy, and recall by emotion."""

    overall: CardRate
    recall: dict[str, CardRate]


def stages(sets: Mapping[str, FaceSet], attacked: Iterable[str]) -> dict[str, float]:
    """What `measure` does one after another, with about how many forward passes each takes."""
    sizes = {name: len(faces) for name, faces in sets.items()}
    attack = 3 * STEPS * len(BUDGETS)  # a pass forward and backward is about three forward
    return {
        **{f"accuracy on {name}": float(n) for name, n in sizes.items()},
        **{f"PGD on {name}": float(attack * min(ATTACKED, sizes[name])) for name in attacked},
        "speed": 1000.0,
    }


def measure(
    victim: nn.Module,
    sets: Mapping[str, FaceSet],
    attacked: Iterable[str],
    shown: Progress | None = None,
    of: str = "",
) -> dict[str, object]:
    """The measured fields of a card, by name.

    Args:
        victim: frozen, on any device.
        sets: faces by name; accuracy and calibration are measured on each.
        attacked: names of the sets that robust accuracy is measured on.
        shown: is told of each of the `stages`, under the key (`of`, stage).
        of: name of the victim, for `shown`.
    """
    stage = partial(_stage, shown or Progress(), of)
    found = {}
    for name, faces in sets.items():
        with stage(f"accuracy on {name}"):
            found[name] = probabilities(victim, faces.images)
    robust = {}
    for name in attacked:
        with stage(f"PGD on {name}") as step:
            robust[name] = robust_accuracy(victim, sets[name], step=step)
    with stage("speed"):
        images_a_second = speed(victim)
    return {
        "accuracy": {name: accuracy(found[name].argmax(1), faces) for name, faces in sets.items()},
        "calibration": {
            name: calibration(found[name], faces.labels) for name, faces in sets.items()
        },
        "robust_accuracy": robust,
        "speed": images_a_second,
    }


@contextmanager
def _stage(shown: Progress, of: str, stage: str) -> Iterator[Callable[[int, int], None]]:
    """Tell `shown` of a stage; yields what to call with the steps that are done, and all."""
    shown.begin((of, stage), f"{of}: {stage}")
    yield partial(shown.step, (of, stage))
    shown.end((of, stage), f"{of}: {stage}")


def evaluate_victim(victim: nn.Module, sets: Mapping[str, FaceSet]) -> dict[str, CardAccuracy]:
    """The `accuracy` of a victim on each set, by name of the set."""
    return {name: accuracy(predict(victim, faces.images), faces) for name, faces in sets.items()}


def accuracy(predictions: Labels, faces: FaceSet) -> CardAccuracy:
    """Accuracy and recall per emotion, with intervals clustered by person.

    Persons are equal to n where they are not known; emotions without faces are left out.
    """
    correct = predictions == faces.labels
    recall = {}
    for k, emotion in enumerate(EMOTIONS):
        rows = faces.labels == k
        if rows.any():
            recall[emotion] = _rate(correct[rows], faces.persons[rows])
    return {"overall": _rate(correct, faces.persons), "recall": recall}


def calibration(found: npt.NDArray[np.float32], labels: Labels) -> dict[str, float]:
    """Expected calibration error and Brier score of probabilities (n, 7), and n."""
    exact = found.astype(np.float64)
    scores = {"ece": ece(exact, labels), "brier": brier(exact, labels)}
    return {name: round(value, 6) for name, value in scores.items()} | {"n": len(labels)}


def ece(found: npt.NDArray[np.float64], labels: Labels, bins: int = BINS) -> float:
    """Mean gap between confidence and accuracy over equally wide bins of confidence.

    Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017), Eq. 3.
    """
    confidence, correct = found.max(1), found.argmax(1) == labels
    own = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(own, correct - confidence, bins)
    return float(np.abs(gaps).sum() / len(labels))


def brier(found: npt.NDArray[np.float64], labels: Labels) -> float:
    """Mean squared distance of the probabilities from the one-hot labels, 0 to 2.

    Brier, Monthly Weather Review 78 (1950), summed over all classes.
    """
    return float(((found - np.eye(found.shape[1])[labels]) ** 2).sum(1).mean())


def robust_accuracy(
    victim: nn.Module,
    faces: FaceSet,
    limit: int = ATTACKED,
    steps: int = STEPS,
    step: Callable[[int, int], None] | None = None,
) -> dict[str, CardRate]:
    """CardAccuracy on published images under PGD, by linf budget ("0" to "8", of 255).

    An image misclassified under a smaller budget counts as misclassified under all larger ones.

    Args:
        step: called with the images that are done, over all budgets, and their number.
    """
    faces = sample(faces, limit)
    correct = predict(victim, faces.images) == faces.labels
    report = {"0": _rate(correct, faces.persons)}
    for done, budget in enumerate(BUDGETS):
        rows = np.flatnonzero(correct)
        for part in np.split(rows, range(BATCH, len(rows), BATCH)):
            if len(part):
                images = attack_with_pgd(
                    victim, faces.images[part], faces.labels[part], budget, steps
                )
                correct[part] = predict(victim, images) == faces.labels[part]
                if step:
                    step(done * len(faces) + int(part[-1]) + 1, len(BUDGETS) * len(faces))
        report[str(budget)] = _rate(correct, faces.persons)
    return report


def attack_with_pgd(
    victim: nn.Module, images: ByteImages, labels: Labels, budget: int, steps: int = STEPS
) -> ByteImages:
    """Published images within `budget` grey levels of `images`, by PGD on the logit margin.

    Step size 2.5 budget / steps, one fixed random start. The budget is a whole number of grey
    levels, so rounding to 8 bits keeps it.

    Args:
        images: (n, c, h, w) uint8. labels: (n,).
    """
    device = device_of(victim)
    x, y = torch.from_numpy(to_float(images)).to(device), torch.from_numpy(labels).to(device)
    eps = budget / 255
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)).to(device) * 2 - 1

    def project(z: Tensor) -> Tensor:
        return torch.minimum(torch.maximum(z, x - eps), x + eps).clamp(0, 1)

    z = pgd(
        lambda z: -margin(victim(z), y).sum(),
        (x + eps * noise).clamp(0, 1),
        project,
        2.5 * eps / steps,
        steps,
    )
    published: ByteImages = (z * 255).round().byte().cpu().numpy()
    return published


def _rate(correct: npt.NDArray[np.bool_], persons: Strings) -> CardRate:
    names, cluster = np.unique(persons, return_inverse=True)
    rate = RateEstimate.of([(correct.astype(float)[None], cluster, 1.0)], len(names))
    low, high = rate.interval
    return {
        "value": round(rate.value, 6),
        "low": round(low, 6),
        "high": round(high, 6),
        "n": len(correct),
        "persons": len(names),
    }
