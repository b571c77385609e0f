from pathlib import Path

import pytest

from priemo_bench.contracts.training import TrainingSpec
from priemo_bench.errors import PriemoError

GOOD = """
name = "tiny"
epochs = 2
optimizer = "sgd"
rate = 0.1
weight_decay = 0.0
[model]
[repeats]
fer2013 = 1
[augmentation]
equalised = 0.1
blurred = 0
noisy = 0
erased = 0
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "tiny.toml"
    path.write_text(text)
    return path


def test_a_complete_spec_is_read(tmp_path: Path) -> None:
    spec = TrainingSpec.load(write(tmp_path, GOOD))
    assert (spec.name, spec.epochs, spec.repeats) == ("tiny", 2, {"fer2013": 1})


@pytest.mark.parametrize(
    ("good", "bad", "field"),
    [
        ("epochs = 2", "epochs = 0", "epochs"),
        ("rate = 0.1", "rate = 0", "rate"),
        ('"sgd"', '"lion"', "optimizer"),
        ("equalised = 0.1", "equalised = 2", "augmentation.equalised"),
        ("epochs = 2", "epochs = 2\nepoch = 3", "epoch"),
        ("epochs = 2", "epochs = ", "not TOML"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, good: str, bad: str, field: str) -> None:
    with pytest.raises(PriemoError, match=field):
        TrainingSpec.load(write(tmp_path, GOOD.replace(good, bad)))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PriemoError, match="does not exist"):
        TrainingSpec.load(tmp_path / "none.toml")
