"""The ports: equal to the original runtimes, and to their graphs written out by hand."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from priemo_bench import registry
from priemo_bench.data.fer2013_csv import read_csv
from priemo_bench.errors import PriemoError
from priemo_bench.testing.victims import check_victim
from priemo_bench.victims.public import face_api, facex, networkv2
from priemo_bench.victims.public.entry import PUBLIC_TEST, PublicVictim

sys.path.insert(0, str(Path(__file__).parent))
from references import FILE, inputs

NOTED = {"fer": 65.28, "networkv2": 50.99, "face-api": 57.73, "facex": 44.11}
"""Accuracy on PublicTest by the original runtimes, measured by others; facex: every 3rd face."""
Arrays = dict[str, np.ndarray]


def installed(name: str) -> PublicVictim:
    entry: PublicVictim = registry.get("victims", name)  # type: ignore[assignment]
    if not entry.archive.folder.is_dir():
        pytest.skip(f"run: priemo-bench install {name}")
    return entry


@pytest.mark.parametrize("name", NOTED)
def test_keeps_the_contract_of_victims(name: str) -> None:
    check_victim(installed(name))


@pytest.mark.parametrize(
    ("name", "order", "tolerance", "agreement"),
    [
        ("networkv2", range(7), 1e-4, 1.0),
        ("face-api", face_api.ORDER, 1e-4, 1.0),
        # LiteRT also rounds the activations of every layer to 8 bits
        ("facex", facex.ORDER, 0.2, 0.95),
    ],
)
def test_predicts_as_the_original_runtime(
    name: str, order: tuple[int, ...], tolerance: float, agreement: float
) -> None:
    """100 rendered faces; references.py wrote the expected probabilities."""
    victim = installed(name)()
    expected = np.load(FILE)[name][:, list(order)]
    with torch.no_grad():
        logits = victim(torch.from_numpy(inputs()[name]).float() / 255)
    found = logits.sigmoid() if name == "networkv2" else logits.softmax(1)
    assert np.abs(found.numpy() - expected).max() <= tolerance
    assert (found.numpy().argmax(1) == expected.argmax(1)).mean() >= agreement


@pytest.mark.slow
@pytest.mark.skipif("PRIEMO_FER2013" not in os.environ, reason="needs a copy of FER2013")
@pytest.mark.parametrize("name", NOTED)
def test_accuracy_on_public_test_is_the_one_on_the_card(name: str) -> None:
    """`PRIEMO_FER2013=fer2013.csv pytest -m slow tests/victims/public` predicts all 3,589 faces."""
    images, labels, usage = read_csv(Path(os.environ["PRIEMO_FER2013"]))
    public = usage == "PublicTest"
    x, y = torch.from_numpy(images[public]).float() / 255, labels[public]
    victim = installed(name)()
    prediction = torch.cat([victim(part).argmax(1) for part in x.split(64)]).numpy()
    assert tuple(np.bincount(y, minlength=7)) == PUBLIC_TEST
    assert tuple(np.bincount(y[prediction == y], minlength=7)) == installed(name).correct_counts
    assert 100 * (prediction == y).mean() == pytest.approx(NOTED[name], abs=1.5)


def test_networkv2_equals_its_graph_written_out(tmp_path: Path) -> None:
    torch.manual_seed(0)
    saved: dict[str, torch.Tensor] = {}
    for k, (i, o) in enumerate(((1, 32), (32, 64), (64, 128), (128, 256)), 1):
        saved[f"conv_{k}.1.weight"] = torch.randn(o, i, 3, 3) * (2 / (9 * i)) ** 0.5
        saved[f"conv_{k}.1.bias"] = torch.randn(o) * 0.1
        for part in ("weight", "bias", "running_mean", "running_var"):
            saved[f"conv_{k}.2.{part}"] = torch.rand(o) + 0.5
        saved[f"conv_{k}.2.num_batches_tracked"] = torch.tensor(1)
    for index, (i, o) in {0: (9216, 256), 2: (256, 7)}.items():
        saved[f"linear.{index}.weight"] = torch.randn(o, i) * i**-0.5
        saved[f"linear.{index}.bias"] = torch.randn(o)
    torch.save({"network": saved, "accuracy": 0.9}, tmp_path / "net.pkl")
    x = torch.rand(3, 1, 48, 48)
    y = 2 * x - 1
    for k in range(1, 5):
        y = F.pad(y, (1, 1, 1, 1), mode="reflect")
        y = F.conv2d(y, saved[f"conv_{k}.1.weight"], saved[f"conv_{k}.1.bias"], 2 if k > 1 else 1)
        w = {p: saved[f"conv_{k}.2.{p}"] for p in ("running_mean", "running_var", "weight", "bias")}
        y = F.relu(F.batch_norm(y, *w.values()))
    y = F.relu(F.linear(y.flatten(1), saved["linear.0.weight"], saved["linear.0.bias"]))
    y = F.linear(y, saved["linear.2.weight"], saved["linear.2.bias"])
    assert torch.allclose(networkv2.load(tmp_path / "net.pkl").eval()(x), y, rtol=1e-4, atol=1e-4)


def _tensorflow_js(folder: Path) -> Arrays:
    """A model of random 8-bit weights as TensorFlow.js keeps it; its arrays by name."""
    rng = np.random.default_rng(0)
    arrays: Arrays = {}
    manifest, data = [], b""

    def add(name: str, *shape: int) -> None:
        nonlocal data
        if name.endswith("bias"):
            arrays[name] = rng.normal(size=shape).astype(np.float32)
            manifest.append({"name": name, "shape": shape, "dtype": "float32"})
            data += arrays[name].tobytes()
            return
        values, scale = rng.integers(0, 256, shape, np.uint8), 0.8 / np.prod(shape[:3]) ** 0.5 / 128
        arrays[name] = values * scale - 128 * scale
        packed = {"dtype": "uint8", "scale": scale, "min": -128 * scale}
        manifest.append({"name": name, "shape": shape, "dtype": "float32", "quantization": packed})
        data += values.tobytes()

    width = 3
    for b, wide in enumerate((32, 64, 128, 256)):
        for k in range(4):
            inputs = wide if k else width
            if b == k == 0:
                add("dense0/conv0/filters", 3, 3, 3, 32)
            else:
                add(f"dense{b}/conv{k}/depthwise_filter", 3, 3, inputs, 1)
                add(f"dense{b}/conv{k}/pointwise_filter", 1, 1, inputs, wide)
            add(f"dense{b}/conv{k}/bias", wide)
        width = wide
    add("fc/weights", 256, 7)
    add("fc/bias", 7)
    (folder / face_api.MANIFEST).write_text(json.dumps([{"weights": manifest, "paths": []}]))
    (folder / face_api.BINARY).write_bytes(data)
    return arrays


def test_face_api_equals_its_graph_written_out(tmp_path: Path) -> None:
    arrays = {k: torch.from_numpy(v).float() for k, v in _tensorflow_js(tmp_path).items()}

    def separable(x: torch.Tensor, name: str, stride: int) -> torch.Tensor:
        x = F.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
        depthwise = arrays[f"{name}/depthwise_filter"].permute(2, 3, 0, 1)
        x = F.conv2d(x, depthwise, stride=stride, groups=x.shape[1])
        pointwise = arrays[f"{name}/pointwise_filter"].permute(3, 2, 0, 1)
        return F.conv2d(x, pointwise, arrays[f"{name}/bias"])

    x = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    y = x - torch.tensor((122.782, 117.001, 104.298)).view(1, 3, 1, 1) / 255
    for b in range(4):
        if b == 0:
            kernel = arrays["dense0/conv0/filters"].permute(3, 2, 0, 1)
            out = F.conv2d(F.pad(y, (0, 1, 0, 1)), kernel, arrays["dense0/conv0/bias"], 2).relu()
        else:
            out = separable(y, f"dense{b}/conv0", 2).relu()
        second = separable(out, f"dense{b}/conv1", 1)
        third = separable((out + second).relu(), f"dense{b}/conv2", 1)
        fourth = separable((out + second + third).relu(), f"dense{b}/conv3", 1)
        y = (out + second + third + fourth).relu()
    y = y.mean((2, 3)) @ arrays["fc/weights"] + arrays["fc/bias"]
    neutral, happy, sad, angry, fear, disgust, surprise = y.unbind(1)
    expected = torch.stack([angry, disgust, fear, happy, sad, surprise, neutral], 1)
    with torch.no_grad():
        found = face_api.load(tmp_path).eval()(x)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_files_of_another_kind_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "net"
    path.write_bytes(b"no network at all")
    pytest.importorskip("tflite")
    for load in (networkv2.load, facex.load):
        with pytest.raises(PriemoError, match="is not") as caught:
            load(path)
        assert "\n" not in str(caught.value)
    (tmp_path / face_api.BINARY).write_bytes(b"")
    (tmp_path / face_api.MANIFEST).write_text('[{"weights": []}]')
    with pytest.raises(PriemoError, match="not hold the expression network"):
        face_api.load(tmp_path)
