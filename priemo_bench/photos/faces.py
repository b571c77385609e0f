"""Where the faces of a photo are, and the crops in which they are protected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from math import ceil, floor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch.nn import functional as F

from priemo_bench.contracts.victim import freeze
from priemo_bench.metrics.face_detector import MEAN, MIN_SCORE, FaceDetector, load

Pixels = npt.NDArray[np.uint8]
"""A picture (h, w, 1 or 3)."""
SIDES = (160, 320, 640, 1280)
"""Longer side of the photo, in pixels, as the detector is shown it."""
CELL = 32
"""Side of a cell of the detector's grid, in pixels."""
RIM = 0.25
"""Edge that is added for faces that fill a photo, as a share of its sides."""
SAME = 0.3
"""Intersection over union, or half of that over the smaller, from which two boxes are one face."""
CONTEXT, RISE = 0.05, 0.05
"""What a crop has on each side of the detector's box, as a share of its longer side, and how far it
is moved up, as a share of the height. Of contexts of 0 to 0.3 it leaves room, and three embedded
recognisers, trained on tight crops, still predict 90 to 97 % of 70 fit faces correctly."""


class Box(NamedTuple):
    """A rectangle of whole pixels; right and bottom are excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def of(self, pixels: Pixels) -> Pixels:
        """The part of a picture (h, w, ...) in it; a view."""
        return pixels[self.top : self.bottom, self.left : self.right]


class Detection(NamedTuple):
    """A face: its score in [0, 1] and its box in pixels, tight, perhaps beyond the edges."""

    score: float
    left: float
    top: float
    right: float
    bottom: float


@cache
def _detector() -> FaceDetector:
    return freeze(load())


def find_faces(pixels: Pixels, least: float = MIN_SCORE) -> list[Detection]:
    """The faces of a picture (h, w, 1 or 3), the surest first.

    The embedded detector is shown the picture at several sizes, and once with a rim around it for
    a face that fills it. It finds faces from about a fiftieth of the longer side.

    Args:
        least: score in [0, 1] from which a box is a face.
    """
    height, width = pixels.shape[:2]
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    sides = [s for s in SIDES if s <= 2 * max(height, width)] or SIDES[:1]
    found: list[Detection] = []
    for side in reversed(sides):
        scale = side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        picture = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=3)
        shown = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
        found += _boxes(shown, (width / size[0], height / size[1]), (0, 0), least)
    rim = [round(RIM * n) for n in size]
    shown = F.pad(shown, (rim[0], rim[0], rim[1], rim[1]), mode="replicate")
    found += _boxes(shown, (width / size[0], height / size[1]), (rim[0], rim[1]), least)
    return _distinct(d for d in found if _centre_inside(d, width, height))


def _centre_inside(face: Detection, width: int, height: int) -> bool:
    _, left, top, right, bottom = face
    return 0 <= left + right < 2 * width and 0 <= top + bottom < 2 * height


@torch.inference_mode()
def _boxes(
    x: torch.Tensor, scale: tuple[float, float], origin: tuple[int, int], least: float
) -> list[Detection]:
    """Boxes found in `x` (1, 3, h, w), whose pixels are so large, and which begins at -origin."""
    height, width = x.shape[2:]
    wide, high = width + -width % CELL, height + -height % CELL
    whole = torch.tensor(MEAN).view(1, 3, 1, 1).expand(1, 3, high, wide).clone()
    whole[..., :height, :width] = x
    boxes = _detector().boxes(whole.contiguous(memory_format=torch.channels_last))[0].T
    boxes = boxes[boxes[:, 0] >= least]
    corners = boxes[:, 1:] * torch.tensor([wide, high] * 2) - torch.tensor([*origin, *origin])
    corners *= torch.tensor([*scale, *scale])
    return [
        Detection(score, *box)
        for score, box in zip(boxes[:, 0].tolist(), corners.tolist(), strict=True)
    ]


def _distinct(found: Iterable[Detection]) -> list[Detection]:
    """Non-maximum suppression: of boxes that are one face, the surest."""
    kept: list[Detection] = []
    for face in sorted(found, reverse=True):
        if not any(_same(face, other) for other in kept):
            kept.append(face)
    return kept


def _same(a: Detection, b: Detection) -> bool:
    width = min(a.right, b.right) - max(a.left, b.left)
    height = min(a.bottom, b.bottom) - max(a.top, b.top)
    if width <= 0 or height <= 0:
        return False
    areas = [(f.right - f.left) * (f.bottom - f.top) for f in (a, b)]
    common = width * height
    return common > SAME * (sum(areas) - common) or common > 2 * SAME * min(areas)


def crops(faces: Sequence[Detection], width: int, height: int, grid: int = 1) -> list[Box]:
    """A crop for each face, with context, inside the photo and apart from all others.

    It is a square but for the edges of the photo. Two that overlap are parted half-way between
    their middles, which may leave too little of one.

    Args:
        grid: edges lie on multiples of so many pixels, or on those of the photo: JPEG codes blocks.
    """
    boxes = [_square(face, width, height, grid) for face in faces]
    for i in range(len(boxes)):
        for j in range(i):
            boxes[i], boxes[j] = _parted(boxes[i], boxes[j], grid)
    return boxes


def _square(face: Detection, width: int, height: int, grid: int) -> Box:
    _, left, top, right, bottom = face
    half = (0.5 + CONTEXT) * max(right - left, bottom - top)
    x, y = (left + right) / 2, (top + bottom) / 2 - RISE * (bottom - top)
    low = (floor((v - half) / grid) * grid for v in (x, y))
    high = (ceil((v + half) / grid) * grid for v in (x, y))
    limits = (width, height, width, height)
    return Box(*(min(max(0, v), n) for v, n in zip((*low, *high), limits, strict=True)))


def _parted(a: Box, b: Box, grid: int) -> tuple[Box, Box]:
    if min(a.right, b.right) <= max(a.left, b.left) or min(a.bottom, b.bottom) <= max(a.top, b.top):
        return a, b
    apart = [abs(a.left + a.right - b.left - b.right), abs(a.top + a.bottom - b.top - b.bottom)]
    low, high = ("left", "right") if apart[0] >= apart[1] else ("top", "bottom")
    middles = [getattr(box, low) + getattr(box, high) for box in (a, b)]
    cut = round(sum(middles) / 4 / grid) * grid
    swapped = middles[0] > middles[1]
    first, second = (b, a) if swapped else (a, b)
    first = first._replace(**{high: min(getattr(first, high), cut)})
    second = second._replace(**{low: max(getattr(second, low), cut)})
    return (second, first) if swapped else (first, second)
