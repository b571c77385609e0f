"""Learned metrics against the original runtimes, the package lpips, and closed forms."""

import os
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from priemo_bench import registry
from priemo_bench.contracts.storage import home
from priemo_bench.contracts.weights import face_recognition as recognition
from priemo_bench.contracts.weights import tfjs
from priemo_bench.contracts.weights.archive import Archive
from priemo_bench.errors import PriemoError
from priemo_bench.metrics import face_detector as detector
from priemo_bench.metrics import face_embedding as embedding
from priemo_bench.metrics import perceptual
from priemo_bench.metrics.network_metric import NetworkMetric

sys.path.insert(0, str(Path(__file__).parents[2] / "victims" / "public"))
from references import FILE, inputs


def installed(name: str) -> NetworkMetric[Any]:
    metric: NetworkMetric[Any] = registry.get("metrics", name)
    archive = metric.archive
    if isinstance(archive, Archive) and not archive.folder.is_dir():
        pytest.skip(f"run: priemo-bench install {name}")
    return metric


@pytest.mark.parametrize("name", ["same_person", "face_found"])
def test_networks_equal_tensorflow_js(name: str) -> None:
    """20 rendered faces, at the network's input size; references.py wrote the outputs."""
    x = torch.from_numpy(inputs()[name]).float() / 255
    with torch.no_grad():
        outputs = installed(name).net(x)
    if name == "face_found":  # rows, columns, anchors, numbers of a box
        outputs = outputs.permute(0, 3, 4, 2, 1)
    assert np.abs(outputs.flatten(1).numpy() - np.load(FILE)[name]).max() <= 1e-4


def test_embeddings_of_a_person_are_closer_than_those_of_two() -> None:
    faces = registry.get("datasets", "rendered")(None, None).split("test")
    first = [np.flatnonzero(faces.persons == person)[:2] for person in np.unique(faces.persons)]
    x = torch.from_numpy(faces.images[np.concatenate(first)]).float() / 255
    with torch.no_grad():
        e = installed("same_person").net(x)
    apart = torch.cdist(e, e)
    own = apart[::2, 1::2].diagonal()
    other = apart[::2, 1::2][~torch.eye(len(first), dtype=torch.bool)]
    assert (own < embedding.THRESHOLD).float().mean() >= 0.95
    assert (own.median() < other).float().mean() >= 0.9


def test_faces_are_found_and_uniform_images_are_not() -> None:
    faces = registry.get("datasets", "rendered")(None, None).split("test").images[:30]
    uniform = np.full_like(faces, 128)
    metric = installed("face_found")
    assert (metric(faces, faces) == 1).all()
    assert (metric(faces, uniform) == 0).all()
    assert np.isnan(metric(uniform, faces)).all()


def test_a_face_elsewhere_is_not_found() -> None:
    """Two boxes of width 0.4, the second moved: intersection over union (0.4 - d) / (0.4 + d)."""
    boxes = iter(
        [
            torch.tensor([[0.9, 0.2, 0.2, 0.6, 0.6]] * 4 + [[0.4, 0.2, 0.2, 0.6, 0.6]]),
            torch.tensor(
                [
                    [0.9, 0.2, 0.2, 0.6, 0.6],
                    [0.9, 0.33, 0.2, 0.73, 0.6],  # 0.27 / 0.53 = 0.509
                    [0.9, 0.34, 0.2, 0.74, 0.6],  # 0.26 / 0.54 = 0.481
                    [0.4, 0.2, 0.2, 0.6, 0.6],
                    [0.9, 0.2, 0.2, 0.6, 0.6],
                ]
            ),
        ]
    )
    net: Any = SimpleNamespace(best_box=lambda x: next(boxes))
    x = torch.zeros(5, 3, 48, 48)
    found = detector.is_found(net, x, x).numpy()
    assert np.array_equal(found, [1, 1, 0, 0, np.nan], equal_nan=True)


def test_the_best_box_is_decoded_as_yolo_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = torch.full((1, 5, 5, 4, 4), -9.0)  # numbers, anchors, rows, columns
    raw[0, :, 2, 1, 3] = torch.tensor([0.0, 0.0, 0.5, -0.5, 2.0])
    net = detector.FaceDetector()
    monkeypatch.setattr(net, "forward", lambda x: raw)
    width, height = np.exp(0.5) * detector.ANCHORS[2][0], np.exp(-0.5) * detector.ANCHORS[2][1]
    corners = [3.5 - width / 2, 1.5 - height / 2, 3.5 + width / 2, 1.5 + height / 2]
    expected = [1 / (1 + np.exp(-2)), *(np.array(corners) / 4)]
    assert net.best_box(torch.zeros(1, 3, 160, 160))[0].numpy() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("side", [10, 11])
def test_down_block_is_written_out(side: int) -> None:
    torch.manual_seed(0)
    block, x = recognition.Block(4, 6, down=True), torch.randn(2, 4, side, side)
    half = side // 2
    branch = block.conv2(block.conv1(x).relu())
    expected = torch.zeros(2, 6, half, half)
    expected[:, :, : branch.shape[2], : branch.shape[3]] += branch
    for i, j in np.ndindex(half, half):
        expected[:, :4, i, j] += x[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean((2, 3))
    assert torch.allclose(block(x), expected.relu(), atol=1e-5)


def test_a_file_of_another_kind_is_one_sentence(tmp_path: Path) -> None:
    binary, manifest = tfjs.files(recognition.MODEL)
    (tmp_path / binary).write_bytes(b"")
    (tmp_path / manifest).write_text('[{"weights": []}]')
    with pytest.raises(PriemoError, match="does not hold the recognition network"):
        recognition.load(tmp_path)
    with pytest.raises(PriemoError, match="has SHA-256"):
        detector.load(tmp_path / binary)


def test_the_embedded_detector_has_the_weights_of_its_package() -> None:
    """Each tensor as TensorFlow.js has it, in the files that `priemo-bench install` once kept."""
    folder = home() / "face_found"
    if not folder.is_dir():
        pytest.skip("needs tiny_face_detector_model of npm @vladmandic/face-api 1.7.15")
    arrays = tfjs.tensors(folder, "tiny_face_detector_model")
    net = detector.load()
    assert len(net.state_dict()) == len(arrays) == 19
    found = {tuple(np.sort(a.ravel())[[0, -1]]): a for a in arrays.values()}
    for tensor in net.state_dict().values():
        values = np.sort(tensor.numpy().ravel())
        assert np.array_equal(values, np.sort(found[values[0], values[-1]].ravel()))


def alexnet(folder: Path) -> list[Tensor]:
    """Random AlexNet convolutions as the package has them: a pickle of nested arrays."""
    g = torch.Generator().manual_seed(0)
    shapes = [
        (11, 11, 3, 64),
        (5, 5, 64, 192),
        (3, 3, 192, 384),
        (3, 3, 384, 256),
        (3, 3, 256, 256),
    ]
    layers, parts = {}, []
    for i, shape in enumerate(shapes):
        kernel = torch.randn(shape, generator=g) * (2 / np.prod(shape[:3])) ** 0.5
        bias = torch.randn(shape[-1], generator=g) / 10
        layers[f"Conv_{i}"] = {"kernel": kernel.numpy(), "bias": bias.numpy()}
        parts += [kernel, bias]
    path = folder / Path(perceptual.WEIGHTS).name
    path.write_bytes(pickle.dumps({"AlexNet_0": layers}, protocol=3))
    return parts


def test_lpips_is_that_of_its_package_on_these_convolutions(tmp_path: Path) -> None:
    package = pytest.importorskip("lpips")
    parts = alexnet(tmp_path)
    x, y = torch.rand(2, 3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    features = []
    for image in (x, y):
        shift, scale = torch.tensor([[-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]])
        h = (2 * image - 1 - shift.view(3, 1, 1)) / scale.view(3, 1, 1)
        layers = []
        for i, (stride, padding) in enumerate([(4, 2), (1, 2), (1, 1), (1, 1), (1, 1)]):
            h = F.max_pool2d(h, 3, 2) if i in (1, 2) else h
            kernel = parts[2 * i].permute(3, 2, 0, 1)
            h = F.conv2d(h, kernel, parts[2 * i + 1], stride, padding).relu()
            layers.append(h / (h.norm(dim=1, keepdim=True) + 1e-10))
        features.append(layers)
    calibration = torch.load(
        Path(package.__file__).parent / "weights/v0.1/alex.pth", "cpu", weights_only=True
    )
    expected = sum(
        ((a - b) ** 2 * calibration[f"lin{i}.model.1.weight"]).sum(1).mean((1, 2))
        for i, (a, b) in enumerate(zip(*features, strict=True))
    )
    with torch.no_grad():
        found = perceptual.distance(perceptual.load(tmp_path), x, y)
    assert torch.allclose(found, expected, rtol=1e-4)


def test_the_installed_alexnet_comes_with_the_calibration_of_lpips() -> None:
    """The package that AlexNet is taken from converted the calibration too: it must be equal."""
    package = pytest.importorskip("lpips")
    folder = installed("lpips").archive.folder
    found = perceptual.arrays((folder / Path(perceptual.WEIGHTS).name).read_bytes())[10:]
    state = torch.load(
        Path(package.__file__).parent / "weights/v0.1/alex.pth", "cpu", weights_only=True
    )
    assert len(found) == len(state) == 5
    for own, other in zip(found, state.values(), strict=True):
        assert np.array_equal(own, other.flatten().numpy())


def test_lpips_is_large_for_blur_and_small_for_brightness() -> None:
    """Its known order: equal, slightly brighter, strongly blurred."""
    x = registry.get("datasets", "rendered")(None, None).split("test").images[:20]
    shade = np.clip(x.astype(np.int16) + 6, 0, 255).astype(np.uint8)
    blurred = F.avg_pool2d(torch.from_numpy(x).float(), 7, 1, 3).round().byte().numpy()
    metric = installed("lpips")
    scores = [metric(x, y).mean() for y in (x, shade, blurred)]
    assert scores[0] == 0
    assert 0 < scores[1] < 0.1 * scores[2]
    assert 0.02 < scores[2] < 1


def test_a_pickle_is_never_executed(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "executed"),)

    wanted = np.arange(300, dtype=np.float32)
    found = perceptual.arrays(pickle.dumps([Trap(), wanted], protocol=3))
    assert len(found) == 1
    assert np.array_equal(found[0], wanted)
    assert not (tmp_path / "executed").exists()


def test_weights_that_are_missing_say_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRIEMO_HOME", str(tmp_path))
    for name in ("lpips", "same_person"):
        with pytest.raises(PriemoError, match=f"run: priemo-bench install {name}"):
            registry.get("metrics", name).check()
