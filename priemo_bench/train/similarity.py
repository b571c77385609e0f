"""How alike victims are, measured: what they read alike, and where their gradients point.

    python -m priemo_bench.train.similarity victims [--data fer2013.csv]

writes victims/likeness.json, for the page of the zoo, over all victims that are installed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from priemo_bench import registry
from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.storage import write_text
from priemo_bench.data.pictures import grey, resize
from priemo_bench.data.sampling import sample
from priemo_bench.errors import PriemoError
from priemo_bench.train.measure import BATCH, margin

Matrix = npt.NDArray[np.float64]

FACES, SIDE = 200, 48
"""Faces of each set, and the side all victims are shown them at, in grey."""
FILE = "likeness.json"


def likeness(victims: Mapping[str, nn.Module], faces: FaceSet, n: int = FACES) -> dict[str, Any]:
    """Matrices over the victims, in their order, on the first `n` drawn faces in 48x48 grey.

    Returns:
        names; n; `agreement`, the share of faces that two victims read alike; `gradient`, the mean
        over faces of the cosine between their gradients of the label's logit margin at the pixels.
    """
    drawn = sample(faces, n)
    x = torch.from_numpy(resize(grey(drawn.images), SIDE)).float() / 255
    y = torch.from_numpy(drawn.labels)
    found = [_read(victim, x, y) for victim in victims.values()]
    reads = np.stack([read for read, _ in found])
    units = np.stack([unit for _, unit in found])
    agreement = (reads[:, None] == reads[None]).mean(2)
    cosine = np.einsum("anp,bnp->ab", units, units) / len(drawn)
    return {
        "names": list(victims),
        "n": len(drawn),
        "agreement": agreement.round(4).tolist(),
        "gradient": cosine.round(4).tolist(),
    }


def _read(victim: nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple[Matrix, Matrix]:
    """What it reads in each face, (n,), and its gradients of length 1 at the pixels, (n, p)."""
    reads, units = [], []
    for part, labels in zip(x.split(BATCH), y.split(BATCH), strict=True):
        z = part.clone().requires_grad_()
        logits = victim(z)
        (gradient,) = torch.autograd.grad(margin(logits, labels).sum(), z)
        reads.append(logits.argmax(1))
        units.append(nn.functional.normalize(gradient.flatten(1), dim=1, eps=1e-30))
    return torch.cat(reads).numpy(), torch.cat(units).double().numpy()


def installed() -> dict[str, nn.Module]:
    """All registered victims that can be loaded here, by name."""
    found = {}
    for name in registry.names("victims"):
        try:
            found[name] = registry.get("victims", name)()
        except PriemoError as error:
            print(f"left out: {error}")
    return found


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure how alike the victims are.")
    parser.add_argument("out", type=Path, help="folder of the zoo")
    parser.add_argument("--data", type=Path, help="your copy of FER2013")
    arguments = parser.parse_args()
    sets = {"rendered test": registry.get("datasets", "rendered")(None, None).split("test")}
    if arguments.data:
        own = registry.get("datasets", "fer2013")(arguments.data, None)
        sets["fer2013 choice"] = own.split("choice")
    victims = installed()
    report = {name: likeness(victims, faces) for name, faces in sets.items()}
    write_text(arguments.out / FILE, json.dumps(report, indent=1) + "\n")
    print(arguments.out / FILE)


if __name__ == "__main__":
    main()
