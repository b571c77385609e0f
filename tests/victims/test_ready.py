"""Descriptions that come with the project, on files of random weights made as the real ones are."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from priemo_bench import registry
from priemo_bench.contracts.emotions import outputs_of_emotions
from priemo_bench.victims.custom import ready
from priemo_bench.victims.custom.description import read

os.environ.setdefault("KERAS_BACKEND", "torch")  # before anything imports Keras
FOLDER = Path(ready.__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.toml"))
EIGHT = ["anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
SEVEN = [name for name in EIGHT if name != "contempt"]
PUBLISHED: dict[str, tuple[list[str], int, int, float]] = {
    "emotieff-enet-b0": (EIGHT, 3, 224, 0.485),
    "emotieff-enet-b0-mtl": ([*EIGHT, "valence", "arousal"], 3, 224, 0.485),
    "emotieff-enet-b2": (EIGHT, 3, 260, 0.485),
    "emotieff-enet-b2-7": (SEVEN, 3, 260, 0.485),
    "emotieff-mobilevit-mtl": ([*EIGHT, "valence", "arousal"], 3, 224, 0.485),
    "emotieff-mbf-mtl": ([*EIGHT, "valence", "arousal"], 3, 112, 0.5),
}
"""Labels, channels, side and first mean, as emotiefflib/facial_analysis.py has them."""


@pytest.fixture(autouse=True)
def _own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that a test gives end with it."""
    monkeypatch.setattr(registry, "_OWN", {})


def test_each_has_a_name_that_can_be_typed() -> None:
    loaders = {point.name: point for point in entry_points(group="priemo_bench.loaders")}
    for name in NAMES:
        found = loaders[f"victims.{name}"].load()
        assert found.name == name
        described = read(found("x.onnx").path, Path("x.onnx"))
        assert described.file == Path.cwd() / "x.onnx"
        if described.labels:
            assert len(outputs_of_emotions(described.labels)) == 7
    assert registry.adopt("victims", "emotieff-enet-b0:/x/enet_b0_8_best_vgaf.onnx") == (
        "enet_b0_8_best_vgaf"
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_emotiefflib(name: str, tmp_path: Path) -> None:
    """A network of the published input and outputs, its emotions in the published order."""
    pytest.importorskip("onnx2torch")
    labels, channels, size, mean = PUBLISHED[name]
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.AvgPool2d(size // 4), nn.Flatten(), nn.Linear(channels * 16, len(labels))
    ).eval()
    torch.onnx.export(
        net, (torch.rand(1, channels, size, size),), tmp_path / "a.onnx", dynamo=False,
        opset_version=13, input_names=["input"], dynamic_axes={"input": {0: "batch_size"}},
    )  # fmt: skip
    own: Any = registry.get("victims", f"{name}:{tmp_path}/a.onnx")()
    x = torch.rand(2, channels, size, size)
    scale = 0.229 if mean == 0.485 else 0.5
    means = [0.485, 0.456, 0.406] if mean == 0.485 else [0.5] * 3
    scales = [scale, 0.224, 0.225] if mean == 0.485 else [0.5] * 3
    inputs = (x - torch.tensor(means).view(3, 1, 1)) / torch.tensor(scales).view(3, 1, 1)
    ours = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
    wanted = [labels.index(name) for name in ours]
    torch.testing.assert_close(own(x), net(inputs)[:, wanted], rtol=1e-4, atol=1e-5)
    assert own.card.licence == "Apache-2.0"


@pytest.mark.slow
def test_emotiefflibs_own_architecture(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    net = timm.create_model("tf_efficientnet_b0", num_classes=8).eval()
    torch.onnx.export(
        net, (torch.rand(1, 3, 224, 224),), tmp_path / "a.onnx", dynamo=False, opset_version=13,
        input_names=["input"], dynamic_axes={"input": {0: "batch_size"}},
    )  # fmt: skip
    own: Any = registry.get("victims", f"emotieff-enet-b0:{tmp_path}/a.onnx")()
    x = torch.rand(2, 3, 48, 48)
    with torch.no_grad():
        wanted = net(own.prepare(x))[:, outputs_of_emotions(EIGHT)]
        torch.testing.assert_close(own(x), wanted, rtol=1e-3, atol=1e-4)
    assert own.card.features == "input of the last linear layer"


def test_ferplus_takes_one_grey_image_of_0_to_255(tmp_path: Path) -> None:
    pytest.importorskip("onnx2torch")

    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(64, 8)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.fc(nn.functional.avg_pool2d(x, 8).reshape(1, 64))
            return logits

    torch.manual_seed(0)
    net = Fixed().eval()
    torch.onnx.export(net, (torch.rand(1, 1, 64, 64),), tmp_path / "a.onnx", dynamo=False)
    own: Any = registry.get("victims", f"ferplus:{tmp_path}/a.onnx")()
    x = torch.rand(3, 1, 64, 64)
    wanted = torch.cat([net(255 * image[None]) for image in x])
    order = outputs_of_emotions(
        ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"]
    )
    torch.testing.assert_close(own(x), wanted[:, order], rtol=1e-4, atol=1e-3)


@pytest.mark.filterwarnings("ignore::UserWarning:keras", "ignore::DeprecationWarning")
@pytest.mark.slow
def test_deepface(tmp_path: Path) -> None:
    """Its five convolutions and three linear layers, written out in torch."""
    h5py = pytest.importorskip("h5py")
    if subprocess.run([sys.executable, "-c", "import keras"], capture_output=True).returncode:
        pytest.skip("Keras is not installed")
    shapes = {
        "conv2d_1": (5, 5, 1, 64), "conv2d_2": (3, 3, 64, 64), "conv2d_3": (3, 3, 64, 64),
        "conv2d_4": (3, 3, 64, 128), "conv2d_5": (3, 3, 128, 128), "dense_1": (128, 1024),
        "dense_2": (1024, 1024), "dense_3": (1024, 7),
    }  # fmt: skip
    rng = np.random.default_rng(0)
    weights = {
        name: (
            (rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1]))).astype(np.float32),
            rng.normal(size=shape[-1]).astype(np.float32) / 10,
        )
        for name, shape in shapes.items()
    }
    with h5py.File(tmp_path / "a.h5", "w") as file:  # as Keras 2 writes weights
        file.attrs["layer_names"] = [name.encode() for name in weights]
        for name, (kernel, bias) in weights.items():
            names = [f"{name}/kernel:0", f"{name}/bias:0"]
            group = file.create_group(name)
            group.attrs["weight_names"] = [n.encode() for n in names]
            group[names[0]], group[names[1]] = kernel, bias
    own: Any = registry.get("victims", f"deepface:{tmp_path}/a.h5")()
    x = torch.rand(2, 1, 48, 48)

    def conv(y: Tensor, name: str) -> Tensor:
        kernel, bias = (torch.from_numpy(w) for w in weights[name])
        return nn.functional.conv2d(y, kernel.permute(3, 2, 0, 1), bias).relu()

    y = nn.functional.max_pool2d(conv(x, "conv2d_1"), 5, 2)
    y = nn.functional.avg_pool2d(conv(conv(y, "conv2d_2"), "conv2d_3"), 3, 2)
    y = nn.functional.avg_pool2d(conv(conv(y, "conv2d_4"), "conv2d_5"), 3, 2).flatten(1)
    for name in ("dense_1", "dense_2"):
        kernel, bias = (torch.from_numpy(w) for w in weights[name])
        y = (y @ kernel + bias).relu()
    kernel, bias = (torch.from_numpy(w) for w in weights["dense_3"])
    torch.testing.assert_close(
        own(x).softmax(1), (y @ kernel + bias).softmax(1), rtol=1e-4, atol=1e-5
    )
