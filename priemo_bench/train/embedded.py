"""From a victim's name to its weights, card and training curve."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, load_file, save
from torch import nn

from priemo_bench import registry
from priemo_bench.contracts.card import Card
from priemo_bench.contracts.dataset import Dataset, FaceSet
from priemo_bench.contracts.storage import write_text
from priemo_bench.contracts.training import TrainingSpec
from priemo_bench.contracts.victim import freeze
from priemo_bench.errors import PriemoError
from priemo_bench.train.card import make_card, provenance
from priemo_bench.train.measure import measure
from priemo_bench.train.trainer import BEST, CURVE, Training


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
    entry = trained(name)
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise PriemoError(f"device {device!r} is not available here; use cpu")
    spec: TrainingSpec = entry.spec
    out = entry.root if out is None else out
    sources = data_sets(spec, data)
    training = Training(
        entry.initial,
        spec,
        {key: source.split("train") for key, source in sources.items()},
        {key: source.split("choice") for key, source in sources.items()},
        out / "checkpoints" / name,
        device,
    )
    training.run()
    return publish(training, sources, out)


def trained(name: str) -> Any:
    """The entry point of a victim that is trained here; PriemoError when it is not."""
    entry = registry.get("victims", name)
    if not (hasattr(entry, "spec") and hasattr(entry, "initial")):
        raise PriemoError(f"victim {name!r} is not trained here; it has no training spec")
    return entry


def data_sets(spec: TrainingSpec, data: Path | None) -> dict[str, Dataset]:
    """The data sets a training reads; only FER2013 is on the user's disk, at `data`."""
    return {
        name: registry.get("datasets", name)(data if name == "fer2013" else None, None)
        for name in spec.repeats
    }


def measured(victim: nn.Module, spec: TrainingSpec, sources: dict[str, Dataset]) -> dict[str, Any]:
    """All that a card says of a trained victim beyond its training; see `measure`.

    PGD is run on the choice split of the set that chose the epoch (its test split is looked at
    once, clean) and on the test split of the others.
    """
    attacked = [f"{name} {'choice' if name == spec.choice else 'test'}" for name in sources]
    return measure(victim, held_out(sources), attacked) | provenance(spec, sources)


def measure_again(
    names: Iterable[str], data: Path | None, out: Path | None = None
) -> Iterator[Path]:
    """The cards of victims, measured again on their published weights, without training.

    Args:
        data, out: as for `train_victim`; only OUT/cards/NAME.json is written.

    Yields:
        Each card, when it is written.

    Raises:
        PriemoError: as `train_victim`, or weights that are not the card's.
    """
    read: dict[str, Dataset] = {}  # every data set is read once
    for entry in [trained(name) for name in names]:
        victim = entry()
        read = data_sets(entry.spec, data) | read
        sources = {key: read[key] for key in entry.spec.repeats}
        found = measured(victim, entry.spec, sources)
        card = Card(**entry.card.model_dump() | found)
        yield write_card(card, entry.root if out is None else out)


def write_card(card: Card, out: Path) -> Path:
    """OUT/cards/NAME.json."""
    path = out / "cards" / f"{card.name}.json"
    write_text(path, card.model_dump_json(indent=1) + "\n")
    return path


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
    found = measured(victim, spec, sources)
    counts = {name: len(faces) for name, faces in training.sets.items()}
    digest = sha256(code).hexdigest()
    card = make_card(victim, spec, digest, training.curve, found, counts)
    weights = out / "weights" / f"{spec.name}.safetensors"
    weights.write_bytes(code)
    shutil.copyfile(training.out / CURVE, out / "curves" / f"{spec.name}.csv")
    write_card(card, out)
    return weights
