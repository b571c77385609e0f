"""From a victim's name to its weights, card and training curve."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Protocol, cast

import torch
from safetensors.torch import load

from priemo_bench import registry
from priemo_bench.contracts.card import Card
from priemo_bench.contracts.dataset import Dataset, FaceSet
from priemo_bench.contracts.storage import write_file, write_text
from priemo_bench.contracts.training import TrainingSpec
from priemo_bench.contracts.victim import Victim, freeze
from priemo_bench.errors import PriemoError
from priemo_bench.progress import Mode, Progress, duration
from priemo_bench.progress import progress as show
from priemo_bench.train.card import make_card, provenance
from priemo_bench.train.measure import measure, stages
from priemo_bench.train.trainer import BEST, CURVE, Training


class TrainableEntry(Protocol):
    """Entry point of a victim that is trained here: called, it is the trained victim.

    Attributes:
        spec: how it is trained. card: what is known of it.
        root: folder of weights/, cards/ and curves/.
    """

    @property
    def spec(self) -> TrainingSpec: ...
    @property
    def card(self) -> Card: ...
    @property
    def root(self) -> Path: ...

    def initial(self) -> Victim:
        """The victim as its training starts."""
        ...

    def __call__(self) -> Victim: ...


def train_victim(
    name: str,
    data: Path | None,
    out: Path | None = None,
    device: str = "cpu",
    progress: Mode = "auto",
) -> Path:
    """Train the victim `name` by its own spec, or resume an interrupted training.

    Writes under `out`: checkpoints/NAME/ after each epoch; at the end weights/NAME.safetensors
    (float16), cards/NAME.json and curves/NAME.csv, the layout of `victims/`.

    Args:
        data: the user's copy of FER2013; None only for specs that do not use it.
        out: None for the victim's own folder, whose weights and card are then replaced.
        progress: on standard error: "auto", "bars", "lines", "json" or "quiet".

    Returns:
        The weight file.

    Raises:
        PriemoError: unknown victim, one that is not trained here, or data that cannot be read.
    """
    entry = trainable(name)
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise PriemoError(f"device {device!r} is not available here; use cpu")
    out = entry.root if out is None else out
    begun = time.monotonic()
    with show(progress) as shown:
        shown.say(f"{name}: opening {' and '.join(entry.spec.repeats)}")
        sources = data_sets(entry.spec, data)
        training = Training(
            entry.initial,
            entry.spec,
            {key: source.split("train") for key, source in sources.items()},
            {key: source.split("choice") for key, source in sources.items()},
            out / "checkpoints" / name,
            device,
            shown,
        )
        training.run()
        path = write_victim(training, sources, out)
        shown.say(f"{name}: trained and measured in {duration(time.monotonic() - begun)}: {path}")
    return path


def trainable(name: str) -> TrainableEntry:
    """The entry point of a victim that is trained here; PriemoError when it is not."""
    entry = registry.get("victims", name)
    if not (hasattr(entry, "spec") and hasattr(entry, "initial")):
        raise PriemoError(f"victim {name!r} is not trained here; it has no training spec")
    return cast(TrainableEntry, entry)


def data_sets(
    spec: TrainingSpec, data: Path | None, loaded: Mapping[str, Dataset] | None = None
) -> dict[str, Dataset]:
    """The data sets of a training, by name; FER2013 is the user's own copy, at `data`.

    Args:
        loaded: sets that are open already; they are given back too.
    """
    known = dict(loaded or {})
    for name in spec.repeats:
        if name not in known:
            own = data if name == "fer2013" else None
            known[name] = registry.get("datasets", name)(own, None)
    return known


def measured(
    victim: Victim, spec: TrainingSpec, sources: dict[str, Dataset], shown: Progress
) -> dict[str, object]:
    """The fields of a card that do not depend on how the training went; see `measure`.

    Robust accuracy is measured on the choice split of the set that chose the epoch and on the test
    split of the others.
    """
    found = measure(victim, held_out(sources), attacked(spec, sources), shown, spec.name)
    return found | provenance(spec, sources)


def attacked(spec: TrainingSpec, sources: Iterable[str]) -> list[str]:
    """The sets, of `held_out`, that robust accuracy is measured on."""
    return [f"{name} {'choice' if name == spec.choice else 'test'}" for name in sources]


def announce(shown: Progress, specs: Iterable[TrainingSpec], loaded: dict[str, Dataset]) -> None:
    """Tell `shown` of all stages in which victims will be measured."""
    weights = {}
    for spec in specs:
        sources = {name: loaded[name] for name in spec.repeats}
        passes = stages(held_out(sources), attacked(spec, sources))
        weights.update({(spec.name, stage): n for stage, n in passes.items()})
    shown.run(len(weights), weights=weights)


def measure_again(
    names: Iterable[str], data: Path | None, out: Path | None = None, progress: Mode = "auto"
) -> Iterator[Path]:
    """Measure the cards of victims again, on their stored weights, without training.

    Args:
        data, out, progress: as for `train_victim`; only OUT/cards/NAME.json is written.

    Yields:
        The path of each card, once written.

    Raises:
        PriemoError: as `train_victim`, or the weights are not those of the card.
    """
    entries = [trainable(name) for name in names]
    begun = time.monotonic()
    with show(progress) as shown:
        loaded: dict[str, Dataset] = {}  # each is read from disk once
        for entry in entries:
            loaded = data_sets(entry.spec, data, loaded)
        announce(shown, [entry.spec for entry in entries], loaded)
        for entry in entries:
            sources = {key: loaded[key] for key in entry.spec.repeats}
            found = measured(entry(), entry.spec, sources, shown)
            card = Card.model_validate(entry.card.model_dump() | found)
            yield write_card(card, entry.root if out is None else out)
        took = duration(time.monotonic() - begun)
        shown.say(f"{len(entries)} card{'s' * (len(entries) != 1)} measured in {took}")


def write_card(card: Card, out: Path) -> Path:
    """Write OUT/cards/NAME.json; returns its path."""
    path = out / "cards" / f"{card.name}.json"
    write_text(path, card.model_dump_json(indent=1) + "\n")
    return path


def held_out(sources: dict[str, Dataset]) -> dict[str, FaceSet]:
    """The sets on a card: choice and test of each data set, and all of FER2013's PublicTest."""
    sets = {}
    for name, source in sources.items():
        sets[f"{name} choice"] = source.split("choice")
        sets[f"{name} test"] = source.split("test")
        if hasattr(source, "public_test"):
            sets[f"{name} test with near copies"] = source.public_test
    return sets


def write_victim(training: Training, sources: dict[str, Dataset], out: Path) -> Path:
    """Write weights, card and curve of a finished training under `out`; returns the weight file."""
    spec = training.spec
    weights = (training.out / BEST).read_bytes()
    victim = training.build()
    victim.load_state_dict(load(weights))  # float16, so that the stored weights are measured
    freeze(victim)
    announce(training.shown, [spec], sources)
    found = measured(victim, spec, sources, training.shown)
    counts = {name: len(faces) for name, faces in training.sets.items()}
    digest = sha256(weights).hexdigest()
    card = make_card(victim, spec, digest, training.curve, found, counts)
    path = out / "weights" / f"{spec.name}.safetensors"
    write_file(path, lambda file: file.write(weights))
    curve = (training.out / CURVE).read_bytes()
    write_file(out / "curves" / f"{spec.name}.csv", lambda file: file.write(curve))
    write_card(card, out)
    return path
