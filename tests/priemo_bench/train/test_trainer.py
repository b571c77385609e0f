from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.predict import predict
from priemo_bench.contracts.training import Distillation, TrainingSpec
from priemo_bench.contracts.victim import Victim
from priemo_bench.errors import PriemoError
from priemo_bench.train.card import make_card, provenance
from priemo_bench.train.measure import evaluate_victim
from priemo_bench.train.pool import Pool
from priemo_bench.train.trainer import CHECKPOINT, Training, rate_at

Build = Callable[[], Victim]
Faces = Callable[..., FaceSet]


@pytest.fixture
def start(build: Build, spec: TrainingSpec, faces: Faces) -> Callable[..., Training]:
    def make(out: Path, seed: int = 0, spec: TrainingSpec = spec) -> Training:
        sets, choices = {"toy": faces(seed=seed)}, {"toy": faces("choice", seed=9)}
        return Training(build, spec, sets, choices, out)

    return make


def test_resumed_is_uninterrupted(start: Callable[..., Training], tmp_path: Path) -> None:
    """Two epochs of two steps, at once and with a break between them."""
    whole = start(tmp_path / "a")
    whole.run()
    torch.rand(7)  # what happens in between must not matter
    start(tmp_path / "b").run(epochs=1)
    resumed = start(tmp_path / "b")
    resumed.run()
    assert len(resumed.curve) == len(whole.curve) == 2
    for name, value in whole.average.state_dict().items():
        assert torch.equal(value, resumed.average.state_dict()[name]), name
    files = [load_file(tmp_path / folder / "best.safetensors") for folder in "ab"]
    assert all(torch.equal(files[0][name], files[1][name]) for name in files[0])
    assert files[0]["last.weight"].dtype == torch.float16


def test_random_numbers_of_the_caller_are_left_alone(
    start: Callable[..., Training], tmp_path: Path
) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    start(tmp_path).run(epochs=1)
    assert torch.equal(torch.rand(3), expected)


def test_a_checkpoint_of_other_faces_is_refused(
    start: Callable[..., Training], tmp_path: Path
) -> None:
    start(tmp_path).run(epochs=1)
    with pytest.raises(PriemoError, match="other faces"):
        start(tmp_path, seed=1).run()


def test_a_finished_training_goes_on_with_a_further_schedule(
    start: Callable[..., Training], spec: TrainingSpec, tmp_path: Path
) -> None:
    start(tmp_path).run()
    longer = start(tmp_path, spec=spec.model_copy(update={"more": (1,)}))
    longer.run()
    assert len(longer.curve) == spec.total + 1


def test_a_student_learns_the_predictions_of_its_teacher(
    start: Callable[..., Training],
    spec: TrainingSpec,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A teacher that always predicts surprise: with full trust, so does the student."""

    class Teacher(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 30 * torch.eye(7)[[5] * len(x)]

    monkeypatch.setattr("priemo_bench.train.trainer.registry.get", lambda kind, name: Teacher)
    teaching = Distillation(teachers=("t",), trust=1.0)
    student = start(tmp_path, spec=spec.model_copy(update={"teaching": teaching, "epochs": 20}))
    student.run()
    assert (predict(student.average.eval(), student.sets["toy"].images) == 5).all()
    half = start(tmp_path / "half", spec=spec.model_copy(update={"teaching": teaching}))
    half.spec = half.spec.model_copy(update={"teaching": Distillation(teachers=("t",), trust=0.25)})
    half.teachers = [Teacher()]
    labels = half._label(torch.zeros(2, 1, 16, 16), torch.tensor([0, 5]))
    assert torch.allclose(labels, 0.75 * torch.eye(7)[[0, 5]] + 0.25 * torch.eye(7)[[5, 5]])


def test_each_batch_has_one_of_the_teachers(
    start: Callable[..., Training], spec: TrainingSpec, tmp_path: Path
) -> None:
    """Of two that are sure of different emotions; in expectation their mean."""
    teaching = Distillation(teachers=("a", "b"), trust=1.0)
    student = start(tmp_path, spec=spec.model_copy(update={"teaching": teaching}))
    sure = [torch.full((3, 7), -30.0).index_fill(1, torch.tensor(k), 30.0) for k in (1, 4)]
    student.teachers = [lambda x, logits=logits: logits for logits in sure]
    torch.manual_seed(0)
    labels = [student._label(torch.zeros(3, 1, 16, 16), torch.zeros(3).long()) for _ in range(400)]
    assert all(any(torch.allclose(given, z.softmax(1)) for z in sure) for given in labels)
    share = torch.stack(labels).mean((0, 1))
    assert torch.allclose(share[[1, 4]], torch.full((2,), 0.5), atol=0.1)


def test_a_card_says_who_taught(build: Build, spec: TrainingSpec) -> None:
    taught = spec.model_copy(update={"teaching": Distillation(teachers=("a", "b"), trust=0.5)})
    assert provenance(taught, {})["kin"] == {"a": ("teachers",), "b": ("teachers",)}
    assert "kin" not in provenance(spec, {})


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_balance_weighs_emotions_by_their_number(
    build: Build, spec: TrainingSpec, faces: Faces, balance: float
) -> None:
    pool = Pool.of(build(), spec, {"toy": faces(n=25)})
    counts = torch.bincount(pool.labels[pool.rows], minlength=7).double()
    weights = pool.weights(balance).double()
    present = counts > 0
    assert float((weights * counts).sum() / counts.sum()) == pytest.approx(1)
    product = (weights * counts**balance)[present]
    assert torch.allclose(product, product[:1].expand_as(product))


def test_a_damaged_checkpoint_is_named(start: Callable[..., Training], tmp_path: Path) -> None:
    start(tmp_path).run(epochs=1)
    (tmp_path / CHECKPOINT).write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(PriemoError, match="remove it"):
        start(tmp_path).run()


def test_only_the_training_split_is_trained_on(
    build: Build, spec: TrainingSpec, faces: Faces
) -> None:
    for split in ("choice", "fit", "test"):
        with pytest.raises(PriemoError, match="train split only"):
            Pool.of(build(), spec, {"toy": faces(split)})


def test_rate_warms_up_and_anneals(spec: TrainingSpec) -> None:
    spec = spec.model_copy(update={"epochs": 10, "more": (2, 3)})
    rates = np.array([rate_at(step, 10, spec) for step in range(150)])
    rates, second, third = np.split(rates, [100, 120])
    top = int(rates.argmax())
    assert top == round(spec.warmup * 100)
    assert rates[top] == spec.rate
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) < 0).all()
    assert rates[-1] < 0.01 * spec.rate
    for more in (second, third):
        assert more[0] == spec.rate / 2
        assert (np.diff(more) < 0).all()
        assert more[-1] < 0.02 * spec.rate


def test_a_card_counts_correct_predictions(build: Build, spec: TrainingSpec, faces: Faces) -> None:
    """A victim that always predicts happy is correct on the happy faces only."""
    victim = build().eval()
    torch.nn.init.zeros_(victim.last.weight)
    victim.last.bias.data = torch.tensor([0.0, 0, 0, 1, 0, 0, 0])
    test = faces("test", n=21)
    report = evaluate_victim(victim, {"toy test": test})["toy test"]
    happy = (test.labels == 3).mean()
    assert report["overall"]["value"] == pytest.approx(happy, abs=1e-6)
    assert report["overall"]["n"] == report["overall"]["persons"] == 21
    assert report["overall"]["low"] < happy < report["overall"]["high"]
    assert report["recall"]["happy"]["value"] == 1
    assert report["recall"]["sad"]["value"] == 0
    curve = [{"epoch": 1.0, "toy": 0.2}, {"epoch": 2.0, "toy": 0.1}]
    card = make_card(victim, spec, "0" * 64, curve, {"licence": "MIT"}, {"toy": 14})
    assert (card.input, card.model_dump()["training"]["best_epoch"]) == ("16x16 grey", 1)
    assert card.parameters == 1 * 4 * 9 + 4 + 4 + 4 + 4 * 7 + 7
