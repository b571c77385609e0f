"""Whether a face detector still finds the face where it was.

The network is the tiny face detector of npm `@vladmandic/face-api` (V. Mühler), a small YOLO v2 of
separable convolutions, eight bits a weight.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from priemo_bench.contracts.weights import tfjs
from priemo_bench.contracts.weights.face_api import face_api_package
from priemo_bench.errors import PriemoError
from priemo_bench.metrics.network_metric import NetworkMetric

MODEL = "tiny_face_detector_model"
SIZE = 160
MARGIN = 0.25
"""Of the side, added around each picture (its edge, repeated): the faces here are cut tightly."""
MEAN = (117.001 / 255, 114.697 / 255, 97.404 / 255)
WIDTHS = (3, 16, 32, 64, 128, 256, 512)
ANCHORS = (
    (1.603231, 2.094468),
    (6.041143, 7.080126),
    (2.882459, 3.518061),
    (4.266906, 5.178857),
    (9.041765, 10.66308),
)
"""Width and height of a box before its own factor, in cells."""
SCORE = 0.5
OVERLAP = 0.5
"""Intersection over union from which two boxes are one."""


class Detector(nn.Module):
    """Pictures to boxes, five for each cell of 32x32 pixels."""

    mean: Tensor
    anchors: Tensor

    def __init__(self) -> None:
        super().__init__()
        pairs = list(pairwise(WIDTHS[1:]))
        self.first = nn.Conv2d(3, WIDTHS[1], 3)
        self.spread = nn.ModuleList(nn.Conv2d(i, i, 3, 1, 1, 1, i, bias=False) for i, _ in pairs)
        self.mixed = nn.ModuleList(nn.Conv2d(i, o, 1) for i, o in pairs)
        self.last = nn.Conv2d(WIDTHS[-1], 5 * len(ANCHORS), 1)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("anchors", torch.tensor(ANCHORS).T.view(2, -1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """RGB (n, 3, s, s) in [0, 1] to raw (n, 5, anchors, rows, columns)."""
        x = F.leaky_relu(self.first(x - self.mean), 0.1)
        for spread, mixed in zip(self.spread, self.mixed, strict=True):
            x = F.max_pool2d(x, 2, 2, ceil_mode=True)
            x = F.leaky_relu(mixed(spread(x)), 0.1)
        x = F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-torch.inf), 2, 1)
        return self.last(x).unflatten(1, (len(ANCHORS), 5)).transpose(1, 2)  # type: ignore[no-any-return]

    def best(self, x: Tensor) -> Tensor:
        """Score, and left, top, right, bottom in [0, 1], of the best box of each picture (n, 5)."""
        raw = self(x)
        cells = raw.shape[-1]
        place = torch.arange(cells, device=x.device)
        middle = torch.stack([raw[:, 0].sigmoid() + place, raw[:, 1].sigmoid() + place[:, None]], 1)
        half = raw[:, 2:4].exp() * self.anchors / 2
        corners = torch.cat([middle - half, middle + half], 1) / cells
        boxes = torch.cat([raw[:, 4:].sigmoid(), corners], 1).flatten(2)
        return boxes.gather(2, boxes[:, :1].argmax(2, keepdim=True).expand(-1, 5, 1)).squeeze(2)


def framed(x: Tensor) -> Tensor:
    """Pictures (n, 3, h, w) with a margin of their own edge, at the side the detector reads."""
    sides = [round(MARGIN * x.shape[-1])] * 2 + [round(MARGIN * x.shape[-2])] * 2
    x = F.pad(x, sides, mode="replicate")
    return F.interpolate(x, (SIZE, SIZE), mode="bilinear", antialias=True)


def load(folder: Path) -> Detector:
    """The network with the weights in `folder`; PriemoError when they are others."""
    net = Detector()
    try:
        arrays = tfjs.tensors(folder, MODEL)
        state = {}
        for here, there in {"first": "conv0", "last": "conv8"}.items():
            state[f"{here}.weight"] = tfjs.kernel(arrays[f"{there}/filters"])
            state[f"{here}.bias"] = arrays[f"{there}/bias"]
        for k in range(len(net.mixed)):
            there = f"conv{k + 1}"
            state[f"spread.{k}.weight"] = tfjs.depthwise(arrays[f"{there}/depthwise_filter"])
            state[f"mixed.{k}.weight"] = tfjs.kernel(arrays[f"{there}/pointwise_filter"])
            state[f"mixed.{k}.bias"] = arrays[f"{there}/bias"]
        tfjs.fill(net, state)
    except (KeyError, ValueError, RuntimeError) as error:
        raise PriemoError(f"{folder} holds no face detector of face-api: {error}") from None
    return net


def found(net: Detector, x: Tensor, y: Tensor) -> Tensor:
    """(n,) 1 where the face of the original is found in the published image, at the same place.

    0 where there is none or elsewhere, NaN where the original has no face.
    """
    first, then = net.best(framed(x)), net.best(framed(y))
    low = torch.maximum(first, then)[:, 1:3]
    common = (torch.minimum(first, then)[:, 3:5] - low).clamp_min(0).prod(1)
    areas = (first[:, 3:5] - first[:, 1:3]).prod(1) + (then[:, 3:5] - then[:, 1:3]).prod(1)
    same = (then[:, 0] > SCORE) & (common >= OVERLAP * (areas - common))
    return torch.where(first[:, 0] > SCORE, same.float(), torch.nan)


face_found = NetworkMetric(
    face_api_package(
        "face_found",
        {
            f"{MODEL}.bin": "b7503ce7df31039b1c43316a9b865cab6a70dd748cc602d3fa28b551503c3871",
            f"{MODEL}-weights_manifest.json": (
                "5d1af4849ac48d5b985f4a9b16010c512353ddd6fcc63d50fd0bc9e9e64296e5"
            ),
        },
    ),
    load,
    found,
)
