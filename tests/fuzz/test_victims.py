"""Victims that a user describes: their TOML, and their files of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import tomli_w
import torch
from hypothesis import strategies as st
from safetensors.torch import save_file

from priemo_bench import registry
from priemo_bench.contracts.image import EMOTIONS

TOML: dict[str, Any] = {
    "name": "mine", "format": "timm", "architecture": "test_resnet", "file": "weights.pth",
    "labels": list(EMOTIONS), "outputs": "logits", "size": 32, "channels": 3,
    "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "licence": "MIT", "training_data": "none",
    "range": 1, "order": "rgb", "layout": "nchw", "options": {"drop_rate": 0.1},
    "kin": {"resnet": ["weights"]}, "data": ["d"], "authors": ["a"],
}  # fmt: skip


def slow(few: int, many: int) -> Any:
    """How many inputs, in CI and in the slow run."""
    return pytest.mark.parametrize("amount", [few, pytest.param(many, marks=pytest.mark.slow)])


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    net = timm.create_model("test_resnet", num_classes=7)
    return dict(net.state_dict())


def use(path: Path) -> None:
    """Load it, and let it predict an image."""
    victim = registry.get("victims", str(path))()
    with torch.no_grad():
        assert victim(torch.zeros(2, 1, 16, 16)).shape == (2, 7)


def written(folder: Path, values: Any) -> Path:
    path = folder / "mine.toml"
    path.write_bytes(tomli_w.dumps(values).encode("utf-8", "surrogatepass"))
    return path


@slow(10, 5_000)
@pytest.mark.filterwarnings("ignore")
def test_values_of_descriptions(fuzz: Any, inputs: Any, amount: int, weights: Any) -> None:
    torch.save(weights, fuzz.folder / "weights.pth")
    fuzz(inputs.changed(TOML), lambda values: use(written(fuzz.folder, values)), amount)


@slow(10, 4_000)
@pytest.mark.filterwarnings("ignore")
def test_bytes_of_descriptions(fuzz: Any, inputs: Any, amount: int, weights: Any) -> None:
    torch.save(weights, fuzz.folder / "weights.pth")
    path = written(fuzz.folder, TOML)

    def attempt(data: bytes) -> None:
        path.write_bytes(data)
        use(path)

    fuzz(inputs.damaged(path.read_bytes()), attempt, amount)


@slow(10, 3_000)
@pytest.mark.filterwarnings("ignore")
def test_bytes_of_weights(fuzz: Any, inputs: Any, amount: int, weights: Any) -> None:
    torch.save(weights, fuzz.folder / "weights.pth")
    torch.save({"state_dict": weights}, fuzz.folder / "old.pth",
               _use_new_zipfile_serialization=False)  # fmt: skip
    save_file(weights, fuzz.folder / "weights.safetensors")
    files = ("weights.pth", "old.pth", "weights.safetensors")
    whole = {name: (fuzz.folder / name).read_bytes() for name in files}

    def attempt(pair: tuple[str, bytes]) -> None:
        name, data = pair
        (fuzz.folder / name).write_bytes(data)
        use(written(fuzz.folder, {**TOML, "file": name}))

    each = [st.tuples(st.just(name), heads(inputs, data)) for name, data in whole.items()]
    fuzz(st.one_of(each), attempt, amount)


def heads(inputs: Any, data: bytes) -> Any:
    """Damage to the first and last of a file, where its structure is, or anywhere."""
    ends = st.one_of(inputs.damaged(data[:2000]).map(lambda head: head + data[2000:]),
                     inputs.damaged(data[-3000:]).map(lambda end: data[:-3000] + end))  # fmt: skip
    return st.one_of(ends, inputs.damaged(data))
