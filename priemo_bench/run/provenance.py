"""Facts of a run beside its rows, for its page: data, victims, machine, versions."""

from __future__ import annotations

import os
import platform
from hashlib import sha256
from pathlib import Path

import numpy as np

from priemo_bench import __version__
from priemo_bench.contracts.card import Card, kinship
from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.defense import Defense, described
from priemo_bench.run.context import RunContext
from priemo_bench.run.spec import Spec
from priemo_bench.run.stamp import installed

PACKAGES = (
    "torch", "adversarial-robustness-toolbox", "torchattacks", "timm", "numpy", "pandas", "Pillow",
)  # fmt: skip
"""Packages whose versions are recorded."""


def versions() -> dict[str, str]:
    """Versions of the project, of Python and of PACKAGES."""
    own = {"priemo-bench": __version__, "python": platform.python_version()}
    return {**own, **installed(PACKAGES)}


def run_facts(spec: Spec, context: RunContext, command: str, device: str) -> dict[str, object]:
    """All facts of a run that tables and page need beside the rows."""
    import torch

    sets = [d.model_copy(update={"data": d.data and Path(d.data.name)}) for d in spec.datasets]
    frozen = spec.model_copy(update={"versions": versions(), "datasets": tuple(sets)})
    found = {name: getattr(victim, "card", None) for name, victim in context.victims.items()}
    cards = {name: card for name, card in found.items() if isinstance(card, Card)}
    return {
        "name": spec.name,
        "command": command,
        "spec": frozen.to_toml(),
        "ssim_floor": spec.ssim_floor,
        "psnr_floor": spec.psnr_floor,
        "eps": spec.eps,
        "budgets": {name: own._asdict() for name, own in spec.budgets.items()},
        "seeds": list(spec.seeds),
        "select_limit": spec.select_limit,
        "versions": frozen.versions,
        "machine": {
            "cpus": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "system": f"{platform.system()} {platform.machine()}",
            "device": device,
        },
        "data": {dataset.name: _data(context, dataset.name) for dataset in spec.datasets},
        "victims": {n: _card_facts(cards[n]) if n in cards else {} for n in spec.victims},
        "kin": kinship(cards),
        "defenses": {name: _defense_facts(own) for name, own in context.defenses.items()},
    }


def _data(context: RunContext, dataset: str) -> dict[str, object]:
    limit = next(d.limit for d in context.spec.datasets if d.name == dataset)
    test = context.faces(dataset, "test", limit, context.spec.draw_seed)
    fit = context.split(dataset, "fit")
    persons = len(set(test.persons)) if (test.persons != test.ids).any() else None
    return {
        "test": len(test),
        "of": len(context.split(dataset, "test")),
        "fit": len(fit),
        "persons": persons,
        "counts": test.counts,
        "shape": list(test.images.shape[1:]),
        "pictures": _pictures(test),
        "notes": list(dict.fromkeys([*fit.notes, *test.notes])),
    }


def _pictures(faces: FaceSet) -> dict[str, str]:
    """The first 8 digits of the SHA-256 of each image, by its id: ids may be names of files."""
    return {
        str(name): sha256(np.ascontiguousarray(image).data).hexdigest()[:8]
        for name, image in zip(faces.ids, faces.images, strict=True)
    }


def _defense_facts(defense: Defense) -> dict[str, object]:
    """What it does, and the curve that it is a point of, where it says so."""
    summary, source = described(defense)
    curve = {name: getattr(defense, name, None) for name in ("family", "strength")}
    return {"summary": summary, "source": source, **curve}


def _card_facts(card: Card) -> dict[str, object]:
    return card.model_dump(include={"architecture", "parameters", "training_data", "sha256"})
