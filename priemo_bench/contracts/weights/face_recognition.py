"""dlib's face-recognition network, with the 8-bit weights of npm `@vladmandic/face-api`.

D. King 2017, public domain: a residual network of 29 convolutions, without batch norm.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from priemo_bench.contracts.weights import tfjs
from priemo_bench.contracts.weights.face_api import MEAN, face_api_package
from priemo_bench.errors import PriemoError

MODEL = "face_recognition_model"
SIZE = 150
"""Side of the network's input, in pixels."""
BLOCKS = {
    "conv32_1": (32, 32),
    "conv32_2": (32, 32),
    "conv32_3": (32, 32),
    "conv64_down": (32, 64),
    "conv64_1": (64, 64),
    "conv64_2": (64, 64),
    "conv64_3": (64, 64),
    "conv128_down": (64, 128),
    "conv128_1": (128, 128),
    "conv128_2": (128, 128),
    "conv256_down": (128, 256),
    "conv256_1": (256, 256),
    "conv256_2": (256, 256),
    "conv256_down_out": (256, 256),
}


class Block(nn.Module):
    """A residual block of two convolutions; `down` halves the side.

    There the skip is an average pooling, zero-padded to the further channels.
    """

    def __init__(self, inputs: int, outputs: int, down: bool) -> None:
        super().__init__()
        self.down, self.new_channels = down, outputs - inputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 2 if down else 1, 0 if down else 1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(self.conv1(x).relu())
        if self.down:
            x = F.pad(F.avg_pool2d(x, 2), (0, 0, 0, 0, 0, self.new_channels))
            out = F.pad(out, (0, x.shape[-1] - out.shape[-1], 0, x.shape[-2] - out.shape[-2]))
        return (out + x).relu()


class FaceRecognition(nn.Module):
    """Tightly cropped faces to embeddings of 128 numbers, close together for one person."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 32, 7, 2)
        self.blocks = nn.ModuleDict({k: Block(*v, "down" in k) for k, v in BLOCKS.items()})
        self.last = nn.Linear(256, 128, bias=False)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """RGB (n, 3, h, w) in [0, 1] to embeddings (n, 128)."""
        if x.shape[-2:] != (SIZE, SIZE):
            x = F.interpolate(x, (SIZE, SIZE), mode="bilinear", antialias=True)
        embeddings: Tensor = self.last(self.features(x - self.mean))
        return embeddings

    def features(self, x: Tensor) -> Tensor:
        """RGB (n, 3, side, side), 112 pixels or more, less the mean, to features (n, 256)."""
        x = F.max_pool2d(self.first(x).relu(), 3, 2)
        for block in self.blocks.values():
            x = block(x)
        return x.mean((2, 3))


def load(folder: Path) -> FaceRecognition:
    """The network with the weights in `folder`; PriemoError when they are not its weights."""
    net = FaceRecognition()
    try:
        arrays = tfjs.tensors(folder, MODEL)
        state = {"last.weight": arrays["fc"].T}
        layers = {"first": "conv32_down"}
        layers |= {f"blocks.{b}.{c}": f"{b}/{c}" for b in BLOCKS for c in ("conv1", "conv2")}
        for here, there in layers.items():  # scales are folded into the convolutions
            scale = arrays[f"{there}/scale/weights"]
            kernel = tfjs.kernel(arrays[f"{there}/conv/filters"])
            state[f"{here}.weight"] = kernel * scale[:, None, None, None]
            bias, shift = arrays[f"{there}/conv/bias"], arrays[f"{there}/scale/biases"]
            state[f"{here}.bias"] = bias * scale + shift
        tfjs.fill(net, state)
    except (KeyError, ValueError, RuntimeError) as error:
        raise PriemoError(
            f"{folder} does not hold the recognition network of face-api: {error}"
        ) from None
    return net


ARCHIVE = face_api_package(
    "same_person",
    {
        f"{MODEL}.bin": "b413e420d6840b2775fba32008db6f3cddb07d485967fb42cfcf379c16a8c589",
        f"{MODEL}-weights_manifest.json": (
            "cbaffa501b0b9275a12b63357a6843e7e30c054e1c9151e1a5f879b26e32986b"
        ),
    },
)
