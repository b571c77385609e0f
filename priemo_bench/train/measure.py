"""What a card says of a victim, measured: accuracy, calibration, robust accuracy and speed."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.data.sampling import sample
from priemo_bench.judge.statistics import RateEstimate

Floats = npt.NDArray[np.float64]

BINS = 15
BUDGETS = (1, 2, 4, 8)
"""Largest change of a pixel in grey levels of 255."""
STEPS = 20
ATTACKED = 200
"""Faces of each set that PGD is run on, always the same."""
BATCH = 32
"""Of the timing."""


def measure(victim: nn.Module, sets: Mapping[str, FaceSet], attacked: Iterable[str]) -> Any:
    """Fields of a card, by name. The victim is frozen, on any device.

    Args:
        sets: faces by name; accuracy and calibration are told for each.
        attacked: the names of those whose robust accuracy is told.
    """
    found = {name: probabilities(victim, faces) for name, faces in sets.items()}
    return {
        "accuracy": {name: accuracy(found[name].argmax(1), faces) for name, faces in sets.items()},
        "calibration": {
            name: calibration(found[name], faces.labels) for name, faces in sets.items()
        },
        "robust_accuracy": {name: robust_accuracy(victim, sets[name]) for name in attacked},
        "speed": speed(victim),
    }


@torch.no_grad()
def probabilities(victim: nn.Module, faces: FaceSet, batch: int = 250) -> Floats:
    """What the victim (in evaluation mode, on any device) makes of published images, (n, 7)."""
    parts = [
        victim(_float(victim, faces.images[start : start + batch])).double().softmax(1).cpu()
        for start in range(0, len(faces), batch)
    ]
    return torch.cat(parts).numpy()


def predictions(victim: nn.Module, faces: FaceSet, batch: int = 250) -> npt.NDArray[np.int64]:
    """What it reads in them, (n,)."""
    return probabilities(victim, faces, batch).argmax(1)


def evaluate_victim(victim: nn.Module, sets: Mapping[str, FaceSet]) -> dict[str, Any]:
    """The `accuracy` of what a victim reads in each set, by name of the set."""
    return {name: accuracy(predictions(victim, faces), faces) for name, faces in sets.items()}


def accuracy(read: npt.NDArray[np.int64], faces: FaceSet) -> dict[str, Any]:
    """Accuracy and recall per emotion, with intervals for persons (`RateEstimate.interval`).

    Returns:
        {"overall": rate, "recall": {emotion: rate}}; a rate is value, low, high, n (images) and
        persons (equal to n where persons are not known). Emotions without faces are left out.
    """
    right = (read == faces.labels).astype(float)
    recall = {}
    for k, emotion in enumerate(EMOTIONS):
        own = faces.labels == k
        if own.any():
            recall[emotion] = _rate(right[own], faces.persons[own])
    return {"overall": _rate(right, faces.persons), "recall": recall}


def calibration(found: Floats, labels: npt.NDArray[np.int64]) -> dict[str, float]:
    """Expected calibration error and Brier score of probabilities (n, 7), and n."""
    scores = {"ece": ece(found, labels), "brier": brier(found, labels)}
    return {name: round(value, 6) for name, value in scores.items()} | {"n": len(labels)}


def ece(found: Floats, labels: npt.NDArray[np.int64], bins: int = BINS) -> float:
    """Mean gap between confidence and accuracy over equally wide bins of confidence.

    Source: Guo et al., On calibration of modern neural networks, ICML 2017, eq. 3.
    """
    confidence, right = found.max(1), found.argmax(1) == labels
    own = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(own, right - confidence, bins)
    return float(np.abs(gaps).sum() / len(labels))


def brier(found: Floats, labels: npt.NDArray[np.int64]) -> float:
    """Mean squared distance of the probabilities from the truth, 0 to 2.

    Source: Brier, Monthly Weather Review 78 (1950), with all classes summed.
    """
    return float(((found - np.eye(found.shape[1])[labels]) ** 2).sum(1).mean())


def robust_accuracy(
    victim: nn.Module, faces: FaceSet, limit: int = ATTACKED, steps: int = STEPS
) -> dict[str, Any]:
    """Share still read correctly under PGD, by budget ("0" to "8", of 255), as 8-bit images.

    An image that fell to a smaller budget has fallen to all larger ones.
    """
    faces = sample(faces, limit)
    standing = predictions(victim, faces) == faces.labels
    report = {"0": _rate(standing.astype(float), faces.persons)}
    for budget in BUDGETS:
        rows = np.flatnonzero(standing)
        for part in np.split(rows, range(BATCH, len(rows), BATCH)):
            if len(part):
                attacked = pgd(victim, faces.images[part], faces.labels[part], budget, steps)
                read = predictions(victim, replace(faces.take(part), images=attacked))
                standing[part] = read == faces.labels[part]
        report[str(budget)] = _rate(standing.astype(float), faces.persons)
    return report


def pgd(
    victim: nn.Module, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], budget: int,
    steps: int = STEPS,
) -> npt.NDArray[np.uint8]:  # fmt: skip
    """Images (n, c, h, w) within `budget` grey levels, by descent of the logit margin.

    Madry et al. 2018 with the margin as its loss (Carlini & Wagner 2017, f6), a fixed random
    start, and steps of 2.5 budgets over their number. Rounding keeps the bound: it is whole.
    """
    x, y = _float(victim, images), torch.from_numpy(labels).to(_device(victim))
    eps = budget / 255
    generator = torch.Generator().manual_seed(0)
    start = torch.rand(x.shape, generator=generator).to(x.device) * 2 - 1
    z = (x + eps * start).clamp(0, 1)
    for _ in range(steps):
        z = z.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(margin(victim(z), y).sum(), z)
        z = z.detach() - 2.5 * eps / steps * gradient.sign()
        z = torch.minimum(torch.maximum(z, x - eps), x + eps).clamp(0, 1)
    found: npt.NDArray[np.uint8] = (z * 255).round().byte().cpu().numpy()
    return found


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """The label's logit minus the best of the others, (n,): negative when read as another."""
    own = nn.functional.one_hot(labels, logits.shape[1]).bool()
    return logits[own] - logits.masked_fill(own, -torch.inf).amax(1)


def speed(victim: nn.Module, seconds: float = 0.5) -> dict[str, Any]:
    """Images a second, forward and forward with backward to the pixels, by number of threads.

    Median over about `seconds` of batches of 32 images of the victim's own size. One thread on a
    CPU is timed by the CPU time it gets, so that other programs matter little; two threads are
    left out while those keep this machine's cores busy.
    """
    device = _device(victim)
    size = getattr(victim, "size", 48)
    x = torch.rand(BATCH, 1, size, size, generator=torch.Generator().manual_seed(0)).to(device)

    def forward() -> None:
        with torch.no_grad():
            victim(x)

    def both() -> None:
        z = x.clone().requires_grad_()
        torch.autograd.grad(victim(z).sum(), z)

    report: dict[str, Any] = {"cpu": _cpu(), "device": device.type, "batch": BATCH}
    for threads in (1, 2) if _idle() else (1,):
        with _threads(threads):
            alone = threads == 1 and device.type == "cpu"
            clock = time.process_time if alone else time.perf_counter
            report[str(threads)] = {
                "forward": round(BATCH / _median(forward, seconds, clock)),
                "forward_backward": round(BATCH / _median(both, seconds, clock)),
            }
    return report


def _median(act: Callable[[], None], seconds: float, clock: Callable[[], float]) -> float:
    act()
    times: list[float] = []
    while sum(times) < seconds or len(times) < 3:
        start = clock()
        act()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(clock() - start)
    return median(times)


def _idle() -> bool:
    """Whether two threads may run without sharing a core with another program."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return (os.cpu_count() or 1) - load > 1.5


@contextmanager
def _threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _cpu() -> str:
    """The processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _device(victim: nn.Module) -> torch.device:
    return next(victim.parameters()).device


def _float(victim: nn.Module, images: npt.NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.array(images)).to(_device(victim)).float() / 255


def _rate(right: Floats, persons: npt.NDArray[Any]) -> dict[str, float]:
    names, cluster = np.unique(persons, return_inverse=True)
    rate = RateEstimate.of([(right[None], cluster, 1.0)], len(names))
    low, high = rate.interval
    rounded = {"value": round(rate.value, 6), "low": round(low, 6), "high": round(high, 6)}
    return {**rounded, "n": len(right), "persons": len(names)}
