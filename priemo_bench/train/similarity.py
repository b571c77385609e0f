"""How similar victims are: the share of equal predictions, and the cosine of their gradients.

    python -m priemo_bench.train.similarity victims [--data fer2013.csv]

writes victims/likeness.json, for the page of the zoo, over all victims that are installed, but for
those with a model defense.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from priemo_bench import registry
from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.image import Labels, to_float
from priemo_bench.contracts.predict import margin
from priemo_bench.contracts.storage import write_text
from priemo_bench.data.pictures import grey, resize
from priemo_bench.data.sampling import sample
from priemo_bench.errors import PriemoError

FACES, SIDE = 200, 48
"""Faces of each set, and the side in pixels at which all victims get them, in grey."""
BATCH = 32
FILE = "likeness.json"


class Similarity(TypedDict):
    """Matrices over the victims, in the order of `names`, on n faces."""

    names: list[str]
    n: int
    agreement: list[list[float]]
    gradient: list[list[float]]


def similarity(victims: Mapping[str, nn.Module], faces: FaceSet, n: int = FACES) -> Similarity:
    """Similarity of all pairs of victims on a sample of `n` faces in 48x48 grey.

    Returns:
        `agreement`: share of faces on which two victims predict the same emotion; `gradient`: mean
        over faces of the cosine between their gradients of the label's logit margin with respect
        to the pixels.
    """
    faces = sample(faces, n)
    x = torch.from_numpy(to_float(resize(grey(faces.images), SIDE)))
    y = torch.from_numpy(faces.labels)
    found = [_predictions_and_gradients(victim, x, y) for victim in victims.values()]
    predictions = np.stack([labels for labels, _ in found])
    gradients = np.stack([unit for _, unit in found])
    agreement = (predictions[:, None] == predictions[None]).mean(2)
    cosine = np.einsum("anp,bnp->ab", gradients, gradients) / len(faces)
    return {
        "names": list(victims),
        "n": len(faces),
        "agreement": agreement.round(4).tolist(),
        "gradient": cosine.round(4).tolist(),
    }


def _predictions_and_gradients(
    victim: nn.Module, x: Tensor, y: Tensor
) -> tuple[Labels, npt.NDArray[np.float64]]:
    """Predictions (n,), and gradients of the margin at the pixels (n, p), of length 1."""
    predictions, units = [], []
    for part, labels in zip(torch.split(x, BATCH), torch.split(y, BATCH), strict=True):
        z = part.clone().requires_grad_()
        logits = victim(z)
        (gradient,) = torch.autograd.grad(margin(logits, labels).sum(), z)
        predictions.append(logits.argmax(1))
        units.append(nn.functional.normalize(gradient.flatten(1), dim=1, eps=1e-30))
    return torch.cat(predictions).numpy(), torch.cat(units).double().numpy()


def installed() -> dict[str, nn.Module]:
    """All registered victims whose weights are installed, by name.

    Those with a model defense, which are made of others, are left out.
    """
    found = {}
    for name in registry.names("victims"):
        try:
            entry = registry.get("victims", name)
            if not hasattr(entry, "card_faces"):
                found[name] = entry()
        except PriemoError as error:
            print(f"left out: {error}")
    return found


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure how similar the victims are.")
    parser.add_argument("out", type=Path, help="folder of the zoo")
    parser.add_argument("--data", type=Path, help="your copy of FER2013")
    arguments = parser.parse_args()
    sets = {"rendered test": registry.get("datasets", "rendered")(None, None).split("test")}
    if arguments.data:
        own = registry.get("datasets", "fer2013")(arguments.data, None)
        sets["fer2013 choice"] = own.split("choice")
    victims = installed()
    report = {name: similarity(victims, faces) for name, faces in sets.items()}
    write_text(arguments.out / FILE, json.dumps(report, indent=1) + "\n")
    print(arguments.out / FILE)


if __name__ == "__main__":
    main()
