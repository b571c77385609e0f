"""From a victim's name to its weights, card and training curve."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, load_file, save

from priemo_bench import registry
from priemo_bench.datasets import Dataset, FaceSet
from priemo_bench.errors import PriemoError
from priemo_bench.training.card import evaluate_victim, make_card
from priemo_bench.training.loop import BEST, CURVE, Training
from priemo_bench.training.spec import TrainingSpec
from priemo_bench.victim import freeze


def train_victim(
    name: str, data: Path | None, out: Path | None = None, device: str = "cpu"
) -> Path:
    """Trains the victim `name` by its own spec, or goes on where that stopped.

    Writes under `out`: checkpoints/NAME/ after each epoch; at the end weights/NAME.safetensors
    (float16), cards/NAME.json and curves/NAME.csv, the layout of `victims/`.

    Args:
        data: the user's copy of FER2013; None only for specs that do not use it.
        out: None for the victim's own folder, whose weights and card are then replaced.

    Returns:
        The weight file.

    Raises:
        PriemoError: unknown victim, one that is not trained here, or data that cannot be read.
    """
    entry = registry.get("victims", name)
    if not (hasattr(entry, "spec") and hasattr(entry, "build")):
        raise PriemoError(f"victim {name!r} is not trained here; it has no training spec")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise PriemoError(f"device {device!r} is not available here; use cpu")
    spec: TrainingSpec = entry.spec
    out = entry.root if out is None else out
    sources: dict[str, Dataset] = {
        # only FER2013 is read from the user's disk; other sets come with their package
        key: registry.get("datasets", key)(data if key == "fer2013" else None, None)
        for key in spec.repeats
    }
    training = Training(
        entry.build,
        spec,
        {key: source.split("train") for key, source in sources.items()},
        {key: source.split("choice") for key, source in sources.items()},
        out / "checkpoints" / name,
        device,
    )
    training.run()
    return publish(training, sources, out)


def held_out(sources: dict[str, Dataset]) -> dict[str, FaceSet]:
    """The sets a card reports: choice and test of each data set, and FER2013's whole PublicTest."""
    sets = {}
    for name, source in sources.items():
        sets[f"{name} choice"] = source.split("choice")
        sets[f"{name} test"] = source.split("test")
        whole: Any = getattr(source, "public_test", None)
        if whole is not None:
            sets[f"{name} test with near copies"] = whole
    return sets


def publish(training: Training, sources: dict[str, Dataset], out: Path) -> Path:
    """Weights, card and curve of a finished training, into `out`; the weight file."""
    spec = training.spec
    for folder in ("weights", "cards", "curves"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    code = save(load_file(training.out / BEST))
    victim = training.build()
    victim.load_state_dict(load(code))  # what is measured is what is published: float16 weights
    freeze(victim)
    accuracy = evaluate_victim(victim, held_out(sources))
    counts = {name: len(faces) for name, faces in training.sets.items()}
    digest = sha256(code).hexdigest()
    card = make_card(victim, spec, digest, training.curve, accuracy, counts)
    weights = out / "weights" / f"{spec.name}.safetensors"
    weights.write_bytes(code)
    shutil.copyfile(training.out / CURVE, out / "curves" / f"{spec.name}.csv")
    path = out / "cards" / f"{spec.name}.json"
    path.write_text(card.model_dump_json(indent=1) + "\n", "utf-8")
    return weights
