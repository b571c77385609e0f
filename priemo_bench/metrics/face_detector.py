"""The embedded face detector, and the metric whether it still finds a face at the same place.

The network is the tiny face detector of npm `@vladmandic/face-api` (V. Mühler), a small YOLO v2
(Redmon & Farhadi 2017) of depthwise separable convolutions. Its 8-bit weights come with this
package (MIT, see weights/face_detector.LICENSE).
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from priemo_bench.contracts.storage import load_tensors
from priemo_bench.contracts.weights import check_sha256, tfjs
from priemo_bench.metrics.network_metric import Embedded, NetworkMetric

WEIGHTS = Path(__file__).parent / "weights" / "face_detector.safetensors"
SHA256 = "6f1a838a6ca091c515b927a5249240cded61cfcf1b7711babf8c359259ec9520"
SIZE = 160
"""Side of the network's input, in pixels."""
MARGIN = 0.25
"""Padding on each side, as a share of the side: the faces of the data sets are tightly cropped."""
MEAN = (117.001 / 255, 114.697 / 255, 97.404 / 255)
WIDTHS = (3, 16, 32, 64, 128, 256, 512)
ANCHORS = (
    (1.603231, 2.094468),
    (6.041143, 7.080126),
    (2.882459, 3.518061),
    (4.266906, 5.178857),
    (9.041765, 10.66308),
)
"""Width and height of each anchor box, in grid cells."""
MIN_SCORE = 0.5
"""Score above which a box is a detection."""
MIN_IOU = 0.5
"""Intersection over union from which two detections are the same face."""


class FaceDetector(nn.Module):
    """Images to bounding boxes, one for each anchor and grid cell of 32x32 pixels."""

    mean: Tensor
    anchors: Tensor

    def __init__(self) -> None:
        super().__init__()
        pairs = list(pairwise(WIDTHS[1:]))
        self.first = nn.Conv2d(3, WIDTHS[1], 3)
        self.depthwise = nn.ModuleList(nn.Conv2d(i, i, 3, 1, 1, 1, i, bias=False) for i, _ in pairs)
        self.pointwise = nn.ModuleList(nn.Conv2d(i, o, 1) for i, o in pairs)
        self.last = nn.Conv2d(WIDTHS[-1], 5 * len(ANCHORS), 1)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("anchors", torch.tensor(ANCHORS).T.view(2, -1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """RGB (n, 3, s, s) in [0, 1] to (n, 5, anchors, rows, columns).

        The five are x, y, width, height and score of a box, as YOLO encodes them.
        """
        x = F.leaky_relu(self.first(x - self.mean), 0.1)
        for depthwise, pointwise in zip(self.depthwise, self.pointwise, strict=True):
            x = F.max_pool2d(x, 2, 2, ceil_mode=True)
            x = F.leaky_relu(pointwise(depthwise(x)), 0.1)
        x = F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-torch.inf), 2, 1)
        raw: Tensor = self.last(x)
        return raw.reshape(len(raw), len(ANCHORS), 5, *raw.shape[2:]).transpose(1, 2)

    def boxes(self, x: Tensor) -> Tensor:
        """Score, and left, top, right, bottom as shares of the sides, of all boxes (n, 5, m)."""
        raw: Tensor = self(x)
        rows, columns = raw.shape[-2:]
        across = torch.arange(columns, device=x.device)
        down = torch.arange(rows, device=x.device)[:, None]
        centre = torch.stack([raw[:, 0].sigmoid() + across, raw[:, 1].sigmoid() + down], 1)
        half = raw[:, 2:4].exp() * self.anchors / 2
        cells = torch.tensor([columns, rows] * 2, device=x.device).view(4, 1, 1, 1)
        corners = torch.cat([centre - half, centre + half], 1) / cells
        return torch.cat([raw[:, 4:].sigmoid(), corners], 1).flatten(2)

    def best_box(self, x: Tensor) -> Tensor:
        """Score, and left, top, right, bottom in [0, 1], of each image's best box (n, 5)."""
        boxes = self.boxes(x)
        return boxes.gather(2, boxes[:, :1].argmax(2, keepdim=True).expand(-1, 5, 1)).squeeze(2)


def prepare(x: Tensor) -> Tensor:
    """Images (n, 3, h, w), padded by repeating the edge and resized to the network's input."""
    sides = [round(MARGIN * x.shape[-1])] * 2 + [round(MARGIN * x.shape[-2])] * 2
    x = F.pad(x, sides, mode="replicate")
    return F.interpolate(x, (SIZE, SIZE), mode="bilinear", antialias=True)


def load(path: Path = WEIGHTS) -> FaceDetector:
    """The network with its weights; PriemoError when the file is damaged."""
    check_sha256(path, SHA256)
    packed, metadata = load_tensors(path)
    arrays = {
        name: (packed[name].astype(np.float64) * scale + low).astype(np.float32)
        for name, (scale, low) in json.loads(metadata["quantization"]).items()
    }
    net, state = FaceDetector(), {}
    for here, there in {"first": "conv0", "last": "conv8"}.items():
        state[f"{here}.weight"] = tfjs.kernel(arrays[f"{there}/filters"])
        state[f"{here}.bias"] = arrays[f"{there}/bias"]
    for k in range(len(net.pointwise)):
        there = f"conv{k + 1}"
        state[f"depthwise.{k}.weight"] = tfjs.depthwise(arrays[f"{there}/depthwise_filter"])
        state[f"pointwise.{k}.weight"] = tfjs.kernel(arrays[f"{there}/pointwise_filter"])
        state[f"pointwise.{k}.bias"] = arrays[f"{there}/bias"]
    tfjs.fill(net, state)
    return net


def is_found(net: FaceDetector, x: Tensor, y: Tensor) -> Tensor:
    """Whether the face detected in an original is detected at the same place when published.

    Returns:
        (n,) 1 or 0; NaN where no face is detected in the original.
    """
    before, after = net.best_box(prepare(x)), net.best_box(prepare(y))
    low = torch.maximum(before, after)[:, 1:3]
    common = (torch.minimum(before, after)[:, 3:5] - low).clamp_min(0).prod(1)
    areas = (before[:, 3:5] - before[:, 1:3]).prod(1) + (after[:, 3:5] - after[:, 1:3]).prod(1)
    same = (after[:, 0] > MIN_SCORE) & (common >= MIN_IOU * (areas - common))
    return torch.where(before[:, 0] > MIN_SCORE, same.float(), torch.nan)


face_found = NetworkMetric(Embedded("face_found", WEIGHTS, SHA256), load, is_found)
