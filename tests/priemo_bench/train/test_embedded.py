"""From a name to weights and card: what is written, what is told, and going on after a stop."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from priemo_bench import registry
from priemo_bench.contracts.card import Card
from priemo_bench.contracts.dataset import FaceSet, Split
from priemo_bench.contracts.training import TrainingSpec
from priemo_bench.contracts.victim import Victim, freeze
from priemo_bench.errors import PriemoError
from priemo_bench.train import embedded, measure_again, train_victim
from priemo_bench.train.trainer import Training

Faces = Callable[..., FaceSet]


@dataclass
class Toys:
    """A data set of toy faces; opened once for each instance."""

    faces: Faces
    opened: list[object] = field(default_factory=list)

    def __call__(self, data: Path | None, size: int | None) -> Toys:
        self.opened.append(data)
        return self

    def split(self, split: Split) -> FaceSet:
        return self.faces(split)


@dataclass
class Entry:
    """A victim that is trained here."""

    spec: TrainingSpec
    initial: Callable[[], Victim]
    root: Path

    @property
    def card(self) -> Card:
        return Card.model_validate_json((self.root / "cards/tiny.json").read_text())

    def __call__(self) -> Victim:
        victim = self.initial()
        victim.load_state_dict(load_file(self.root / "weights/tiny.safetensors"))
        return freeze(victim)


@pytest.fixture
def toys(
    build: Callable[[], Victim],
    spec: TrainingSpec,
    faces: Faces,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Toys]:
    data = Toys(faces)
    known = {("datasets", "toy"): data, ("victims", "tiny"): Entry(spec, build, tmp_path)}
    monkeypatch.setattr(registry, "get", lambda kind, name: known[kind, name])
    monkeypatch.setattr("priemo_bench.train.measure.speed", lambda victim: {"batch": 32})
    return data


def test_training_says_what_it_does(
    toys: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = train_victim("tiny", None, progress="lines")
    assert path == tmp_path / "weights/tiny.safetensors"
    card = Card.model_validate_json((tmp_path / "cards/tiny.json").read_text())
    assert card.sha256 == sha256(path.read_bytes()).hexdigest()
    assert (tmp_path / "curves/tiny.csv").read_text().startswith("epoch,loss,seconds,toy")
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    starts = [
        "tiny: opening toy", "1/2 tiny epoch 1/2: done (loss ", "2/2 tiny epoch 2/2: done (loss ",
        "1/4 tiny: accuracy on toy choice: done", "2/4 tiny: accuracy on toy test: done",
        "3/4 tiny: PGD on toy choice: done", "4/4 tiny: speed: done",
        "tiny: trained and measured in ",
    ]  # fmt: skip
    assert len(lines) == len(starts)
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True))
    assert lines[-1].endswith(f": {path}")


def test_cards_are_measured_again(
    toys: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_victim("tiny", None, progress="quiet")
    assert capsys.readouterr().err == ""
    before = (tmp_path / "cards/tiny.json").read_bytes()
    toys.opened.clear()
    paths = list(measure_again(["tiny", "tiny"], None, tmp_path / "new", progress="json"))
    assert paths == [tmp_path / "new/cards/tiny.json"] * 2
    assert paths[0].read_bytes() == before
    assert len(toys.opened) == 1
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [event["event"] for event in events].count("done") == 8
    assert events[-1]["text"].startswith("2 cards measured in ")


@pytest.mark.parametrize("batch", [0, 1, 3])
def test_a_training_that_is_stopped_goes_on(
    toys: Toys, batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the first or the second epoch of two batches, then the same command again."""
    torch.set_num_threads(1)
    undisturbed = train_victim("tiny", None, tmp_path / "a", progress="quiet")
    steps, step = [0], Training._step

    def pressed(self: Training, *batch_: object) -> torch.Tensor:
        steps[0] += 1
        if steps[0] == batch + 1:
            raise KeyboardInterrupt
        return step(self, *batch_)

    monkeypatch.setattr(Training, "_step", pressed)
    with pytest.raises(KeyboardInterrupt):
        train_victim("tiny", None, tmp_path / "b", progress="quiet")
    assert not list((tmp_path / "b").rglob("*.part"))
    train_victim("tiny", None, tmp_path / "b", progress="quiet")
    assert undisturbed.read_bytes() == (tmp_path / "b/weights/tiny.safetensors").read_bytes()
    cards = [(tmp_path / folder / "cards/tiny.json").read_text() for folder in "ab"]
    assert cards[0] == cards[1]


def test_stages_are_those_that_are_told(toys: Toys, spec: TrainingSpec) -> None:
    """Their weights are there for each, so that the remaining time knows of them."""
    told = []

    class Listening(embedded.Progress):
        def begin(self, key: object, title: str, steps: int | None = None) -> None:
            told.append(key)
            super().begin(key, title, steps)

    shown, victim = Listening(), freeze(embedded.trainable("tiny").initial())
    sources = embedded.data_sets(spec, None)
    embedded.announce(shown, [spec], sources)
    embedded.measured(victim, spec, sources, shown)
    assert told == list(shown._weights)
    assert shown.remaining == 0


@dataclass
class Slow(Entry):
    """A victim with a model defense."""

    card_faces: int | None = None


@pytest.mark.parametrize("limit", [None, 7])
def test_of_a_slow_victim_accuracy_alone_is_measured(
    limit: int | None,
    toys: Toys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train_victim("tiny", None, progress="quiet")
    whole = registry.get("victims", "tiny")
    slow = Slow(whole.spec, whole.initial, whole.root, limit)
    monkeypatch.setattr(registry, "get", lambda k, name: toys if k == "datasets" else slow)
    before = whole.card
    (path,) = measure_again(["tiny"], None, tmp_path / "new", progress="lines")
    after = Card.model_validate_json(path.read_text())
    for name, report in before.accuracy.items():
        found = after.accuracy[name]
        assert found["overall"]["n"] == min(report["overall"]["n"], limit or 10**9)
        assert limit or found == report
    assert after.speed == before.speed
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": done")[0] for line in lines[:-1]] == [
        "1/2 tiny: accuracy on toy choice", "2/2 tiny: accuracy on toy test",
    ]  # fmt: skip


def test_the_card_names_the_victim_whose_weights_it_started_from(
    toys: Toys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_victim("tiny", None, progress="quiet")
    whole = registry.get("victims", "tiny")
    card = whole.card.model_copy(update={"name": "first"})

    @dataclass
    class First:
        card: Card

    whole.origin = First(card)
    train_victim("tiny", None, tmp_path / "second", progress="quiet")
    found = Card.model_validate_json((tmp_path / "second/cards/tiny.json").read_text())
    assert found.start == card.sha256
    assert found.kin == {"first": ("weights",)}
    assert found.training_data.endswith(", from the weights of first")


def test_a_victim_without_a_card_of_its_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "get", lambda kind, name: object())
    with pytest.raises(PriemoError, match="not measured here"):
        list(measure_again(["public"], None))
