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
from priemo_bench.contracts.storage import storage_errors, write_file, write_text
from priemo_bench.contracts.training import TrainingSpec
from priemo_bench.contracts.victim import Victim, freeze
from priemo_bench.data.sampling import sample
from priemo_bench.errors import PriemoError
from priemo_bench.progress import Mode, Progress, duration
from priemo_bench.progress import progress as show
from priemo_bench.train.card import make_card, provenance
from priemo_bench.train.measure import evaluate_victim, measure, stages
from priemo_bench.train.trainer import BEST, CURVE, Training


class MeasurableEntry(Protocol):
    """Entry point of a victim whose card is measured here: called, it is the victim.

    One with an attribute `card_faces` has a model defense that makes it slow. Its card has accuracy
    only, on at most so many faces of each set (None: on all).

    Attributes:
        spec: how it, or what it is made of, is trained. card: what is known of it.
        root: folder of weights/, cards/ and curves/.
    """

    @property
    def spec(self) -> TrainingSpec: ...
    @property
    def card(self) -> Card: ...
    @property
    def root(self) -> Path: ...

    def __call__(self) -> Victim: ...


class TrainableEntry(MeasurableEntry, Protocol):
    """Entry point of a victim that is trained here: called, it is the trained victim.

    One with an attribute `origin` starts from the weights of that embedded victim.
    """

    def initial(self) -> Victim:
        """The victim as its training starts."""
        ...


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
        path = write_victim(training, sources, out, _origin(entry))
        shown.say(f"{name}: trained and measured in {duration(time.monotonic() - begun)}: {path}")
    return path


def trainable(name: str) -> TrainableEntry:
    """The entry point of a victim that is trained here; PriemoError when it is not."""
    entry = registry.get("victims", name)
    if not (hasattr(entry, "spec") and hasattr(entry, "initial")):
        raise PriemoError(f"victim {name!r} is not trained here; it has no training spec")
    return cast(TrainableEntry, entry)


def measurable(name: str) -> MeasurableEntry:
    """The entry point of a victim whose card is measured here; PriemoError when it is not."""
    entry = registry.get("victims", name)
    if not (hasattr(entry, "spec") and hasattr(entry, "root")):
        raise PriemoError(f"the card of victim {name!r} is not measured here")
    return cast(MeasurableEntry, entry)


def _origin(entry: MeasurableEntry) -> Card | None:
    """The card of the embedded victim that a training starts from."""
    origin: MeasurableEntry | None = getattr(entry, "origin", None)
    return origin.card if origin else None


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
    victim: Victim,
    spec: TrainingSpec,
    sources: dict[str, Dataset],
    shown: Progress,
    origin: Card | None = None,
) -> dict[str, object]:
    """The fields of a card that do not depend on how the training went; see `measure`.

    Robust accuracy is measured on the choice split of the set that chose the epoch and on the test
    split of the others.

    Args:
        origin: of the embedded victim whose weights the training started from.
    """
    found = measure(victim, held_out(sources), attacked(spec, sources), shown, spec.name)
    return found | provenance(spec, sources, origin)


def measured_again(
    entry: MeasurableEntry, sources: dict[str, Dataset], shown: Progress
) -> dict[str, object]:
    """`measured` of an entry's own weights; accuracy alone where it has `card_faces`."""
    victim, name = entry(), entry.spec.name
    if not hasattr(entry, "card_faces"):
        return measured(victim, entry.spec, sources, shown, _origin(entry))
    accuracy: dict[str, object] = {}
    for key, faces in limited(sources, entry.card_faces).items():
        stage = (name, f"accuracy on {key}")
        shown.begin(stage, f"{name}: {stage[1]}")
        accuracy |= evaluate_victim(victim, {key: faces})
        shown.end(stage, f"{name}: {stage[1]}")
    return {"accuracy": accuracy}


def limited(sources: dict[str, Dataset], limit: int | None) -> dict[str, FaceSet]:
    """`held_out`, with at most so many faces of each set, always the same."""
    return {key: sample(faces, limit) for key, faces in held_out(sources).items()}


def attacked(spec: TrainingSpec, sources: Iterable[str]) -> list[str]:
    """The sets, of `held_out`, that robust accuracy is measured on."""
    return [f"{name} {'choice' if name == spec.choice else 'test'}" for name in sources]


def announce(
    shown: Progress,
    specs: Iterable[TrainingSpec],
    loaded: dict[str, Dataset],
    slow: Mapping[str, int | None] | None = None,
) -> None:
    """Tell `shown` of all stages in which victims will be measured.

    Args:
        slow: the `card_faces` of victims that have them, by name.
    """
    weights: dict[object, float] = {}
    for spec in specs:
        sources = {name: loaded[name] for name in spec.repeats}
        if slow and spec.name in slow:
            sets = limited(sources, slow[spec.name])
            passes = {f"accuracy on {key}": float(len(faces)) for key, faces in sets.items()}
        else:
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
    entries = [measurable(name) for name in names]
    if out is not None:
        with storage_errors(out):
            out.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    with show(progress) as shown:
        loaded: dict[str, Dataset] = {}  # each is read from disk once
        for entry in entries:
            loaded = data_sets(entry.spec, data, loaded)
        slow = {e.spec.name: e.card_faces for e in entries if hasattr(e, "card_faces")}
        announce(shown, [entry.spec for entry in entries], loaded, slow)
        for entry in entries:
            sources = {key: loaded[key] for key in entry.spec.repeats}
            found = measured_again(entry, sources, shown)
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


def write_victim(
    training: Training, sources: dict[str, Dataset], out: Path, origin: Card | None = None
) -> Path:
    """Write weights, card and curve of a finished training under `out`; returns the weight file."""
    spec = training.spec
    weights = (training.out / BEST).read_bytes()
    victim = training.build()
    victim.load_state_dict(load(weights))  # float16, so that the stored weights are measured
    freeze(victim)
    announce(training.shown, [spec], sources)
    found = measured(victim, spec, sources, training.shown, origin)
    counts = {name: len(faces) for name, faces in training.sets.items()}
    digest = sha256(weights).hexdigest()
    card = make_card(victim, spec, digest, training.curve, found, counts, origin)
    path = out / "weights" / f"{spec.name}.safetensors"
    write_file(path, lambda file: file.write(weights))
    curve = (training.out / CURVE).read_bytes()
    write_file(out / "curves" / f"{spec.name}.csv", lambda file: file.write(curve))
    write_card(card, out)
    return path
