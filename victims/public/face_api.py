"""The expression network of npm `@vladmandic/face-api`: dense blocks of separable convolutions.

Source: V. Mühler, face-api.js (its class FaceFeatureExtractor), which the package continues.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from priemo_bench.contracts.victim import Victim
from priemo_bench.contracts.weights import tfjs
from priemo_bench.contracts.weights.face_api import MEAN, face_api_package
from priemo_bench.errors import PriemoError
from priemo_bench.victims.public.entry import PublicVictim

MODEL = "face_expression_model"
BINARY, MANIFEST = tfjs.files(MODEL)
ORDER = (3, 5, 4, 1, 2, 6, 0)
"""Indices of EMOTIONS in neutral, happy, sad, angry, fearful, disgusted, surprised."""
WIDTHS = (32, 64, 128, 256)


class Convolution(nn.Module):
    """A 3x3 convolution, plain or depthwise separable, with TensorFlow's "same" padding."""

    def __init__(self, inputs: int, outputs: int, stride: int, separable: bool) -> None:
        super().__init__()
        self.stride = stride
        if separable:
            depthwise = nn.Conv2d(inputs, inputs, 3, stride, groups=inputs, bias=False)
            self.net = nn.Sequential(depthwise, nn.Conv2d(inputs, outputs, 1))
        else:
            self.net = nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride))

    def forward(self, x: Tensor) -> Tensor:
        before = 2 - self.stride  # stride 2 pads an even side by (0, 1)
        y: Tensor = self.net(F.pad(x, (before, 1, before, 1)))
        return y


class Block(nn.Module):
    """Four convolutions, the first of stride 2; the input of each is the sum of all before it."""

    def __init__(self, inputs: int, outputs: int, separable: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            Convolution(outputs if k else inputs, outputs, 1 if k else 2, separable or k > 0)
            for k in range(4)
        )

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self.convs
        total: Tensor = first(x).relu()
        for convolution in others:
            total = total + convolution(total.relu())  # the sum goes on without the relu
        return total.relu()


class FaceApi(Victim):
    """Input 112x112 RGB in [0, 1], less the mean colour of the training faces."""

    def __init__(self) -> None:
        super().__init__(size=112, channels=3, mean=MEAN, std=(1.0, 1.0, 1.0))
        pairs = zip((3, *WIDTHS), WIDTHS, strict=False)
        self.blocks = nn.Sequential(*(Block(i, o, i > 3) for i, o in pairs))
        self.last = nn.Linear(WIDTHS[-1], 7)

    def embed(self, x: Tensor) -> Tensor:
        """(n, 3, 112, 112) to means over positions, (n, 256)."""
        maps: Tensor = self.blocks(x)
        return maps.mean((2, 3))

    def head(self, f: Tensor) -> Tensor:
        """(n, 256) to logits (n, 7)."""
        logits: Tensor = self.last(f)
        return logits


def load(folder: Path) -> FaceApi:
    """The network with the weights in `folder`; PriemoError when they are not its weights."""
    net = FaceApi()
    try:
        arrays = tfjs.tensors(folder, MODEL)
        state = {
            "last.weight": arrays["fc/weights"].T[list(ORDER)],
            "last.bias": arrays["fc/bias"][list(ORDER)],
        }
        for b, k in np.ndindex(4, 4):
            here, there = f"blocks.{b}.convs.{k}.net", f"dense{b}/conv{k}"
            if f"{there}/filters" in arrays:
                state[f"{here}.0.weight"] = tfjs.kernel(arrays[f"{there}/filters"])
                state[f"{here}.0.bias"] = arrays[f"{there}/bias"]
                continue
            state[f"{here}.0.weight"] = tfjs.depthwise(arrays[f"{there}/depthwise_filter"])
            state[f"{here}.1.weight"] = tfjs.kernel(arrays[f"{there}/pointwise_filter"])
            state[f"{here}.1.bias"] = arrays[f"{there}/bias"]
        tfjs.fill(net, state)
    except (KeyError, ValueError, RuntimeError) as error:
        raise PriemoError(
            f"{folder} does not hold the expression network of face-api: {error}"
        ) from None
    return net


face_api = PublicVictim(
    archive=face_api_package(
        "face-api",
        {
            BINARY: "9a9840f2cf1f4c7eab95f197512569345c00d2426754d4608b92af30e0300f3d",
            MANIFEST: "5b349c17c7836da506e03422cd6461c74085d8bb2713ad4114647dc5d28174c8",
        },
    ),
    build=load,
    architecture="face-api expression network (four dense blocks of separable convolutions)",
    training_data="public data sets and web images, not named by its author",
    authors=("Vincent Mühler",),
    data=(),
    correct_counts=(206, 48, 109, 714, 295, 321, 379),
)
