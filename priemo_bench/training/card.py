"""What a trained victim can do, measured on the weights as published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from priemo_bench.datasets import FaceSet
from priemo_bench.images import EMOTIONS
from priemo_bench.protection import share
from priemo_bench.training.spec import TrainingSpec
from priemo_bench.victim import Card, Victim


@torch.no_grad()
def predictions(victim: nn.Module, faces: FaceSet, batch: int = 250) -> npt.NDArray[np.int64]:
    """What the victim (in evaluation mode, on any device) reads in published images, (n,)."""
    device = next(victim.parameters()).device
    read: list[Tensor] = []
    for start in range(0, len(faces), batch):
        x = torch.from_numpy(np.array(faces.images[start : start + batch])).to(device)
        read.append(victim(x.float() / 255).argmax(1).cpu())
    return torch.cat(read).numpy()


def evaluate_victim(victim: nn.Module, sets: Mapping[str, FaceSet]) -> dict[str, Any]:
    """Accuracy and recall per emotion on each set, with Wilson intervals over persons.

    Returns:
        Name of the set to {"overall": rate, "recall": {emotion: rate}}; a rate is value, low,
        high, n (images) and persons (equal to n where persons are not known). Emotions without
        faces are left out.
    """
    report = {}
    for name, faces in sets.items():
        right = (predictions(victim, faces) == faces.labels).astype(float)
        recall = {}
        for k, emotion in enumerate(EMOTIONS):
            own = faces.labels == k
            if own.any():
                recall[emotion] = _rate(right[own], faces.persons[own])
        report[name] = {"overall": _rate(right, faces.persons), "recall": recall}
    return report


def _rate(right: npt.NDArray[np.float64], persons: np.ndarray) -> dict[str, float]:
    return {name: round(v, 6) for name, v in asdict(share(right, persons)).items()}


def make_card(
    victim: Victim,
    spec: TrainingSpec,
    digest: str,
    curve: list[dict[str, float]],
    accuracy: dict[str, Any],
    counts: Mapping[str, int],
) -> Card:
    """The card of a finished training.

    Args:
        victim: with the published weights, for its parameters, input and, where it has one,
            its text `architecture`.
        digest: SHA-256 of the weight file.
        curve: one row per epoch.
        accuracy: from `evaluate_victim`.
        counts: training faces by data set.
    """
    colours = "grey" if victim.channels == 1 else "RGB"
    best = max(curve, key=lambda row: row[spec.choice])
    data = ", ".join(f"{name} train ({n} faces)" for name, n in counts.items())
    training = {
        "epochs": spec.total,
        "best_epoch": int(best["epoch"]),
        "chosen_by": f"{spec.choice} choice split",
        "seed": spec.seed,
    }
    return Card(
        name=spec.name,
        architecture=getattr(victim, "architecture", type(victim).__name__),
        parameters=sum(p.numel() for p in victim.parameters()),
        input=f"{victim.size}x{victim.size} {colours}",
        training_data=data,
        licence="MIT",
        sha256=digest,
        accuracy=accuracy,
        training=training,  # type: ignore[call-arg]  # cards take extra fields
    )
