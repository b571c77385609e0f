"""Small changes of position, drawn for each image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priemo_bench.contracts.image import ByteImages, FloatImages, check_bytes, check_images
from priemo_bench.defenses.applied import Random
from priemo_bench.defenses.described import Described
from priemo_bench.defenses.resizing import Size, resized, softly_resized
from priemo_bench.errors import require

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Crop(Random, Described):
    """Crop at a random place and enlarge to the former size (bicubic).

    Attributes:
        share: side of what is kept over that of the image.
        seed: of the place, which also depends on the image's bytes.
    """

    does = "cropped to {0.share:.0%} of its side at a random place, and enlarged (bicubic)"
    kind = "crop"
    knob = "share"
    source = "Guo et al. 2018, arXiv:1711.00117; Pillow"

    share: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        require(0 < self.share < 1, "share", self.share, "above 0 and below 1")

    def windows(self, x: ByteImages | torch.Tensor) -> tuple[Size, list[Size]]:
        """Height and width that is kept, and the top left corner for each image."""
        before = x.shape[2], x.shape[3]
        h, w = (max(1, round(self.share * side)) for side in before)
        room = (before[0] - h, before[1] - w)
        corners = [g.integers(0, room, endpoint=True).tolist() for g in self.generators(x)]
        return (h, w), [(top, left) for top, left in corners]

    def __call__(self, x: ByteImages, /) -> FloatImages:
        x = check_bytes(x)
        (h, w), corners = self.windows(x)
        kept = np.stack([i[:, t : t + h, s : s + w] for i, (t, s) in zip(x, corners, strict=True)])
        enlarged = resized(kept, (x.shape[2], x.shape[3]), "bicubic")
        return check_images(enlarged.astype(np.float32) / np.float32(255))

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """Its stand-in: the same places and weights, without rounding."""
        import torch

        (h, w), corners = self.windows(x)
        kept = [i[:, t : t + h, s : s + w] for i, (t, s) in zip(x, corners, strict=True)]
        return softly_resized(torch.stack(kept), (x.shape[2], x.shape[3]), "bicubic").clamp(0, 1)


@dataclass(frozen=True)
class Turn(Random, Described):
    """Turn about the centre, to a random side (bilinear, borders reflected).

    Attributes:
        degrees: the angle.
        seed: of the side, which also depends on the image's bytes.
    """

    does = "turned by {0.degrees:g} degrees to a random side (bilinear)"
    kind = "turn"
    knob = "degrees"
    source = "Engstrom et al. 2019, arXiv:1712.02779; scipy"

    degrees: float = 5
    seed: int = 0

    def __post_init__(self) -> None:
        require(0 < self.degrees <= 180, "degrees", self.degrees, "above 0 and up to 180")

    def angles(self, x: ByteImages | torch.Tensor) -> list[float]:
        """For each image, counter-clockwise."""
        return [self.degrees * (1 - 2 * int(g.integers(2))) for g in self.generators(x)]

    def __call__(self, x: ByteImages, /) -> FloatImages:
        from scipy.ndimage import rotate

        x = check_bytes(x)
        out = np.empty(x.shape, np.float32)
        for image, angle, turned in zip(x, self.angles(x), out, strict=True):
            floats = image.astype(np.float32) / np.float32(255)
            rotate(floats, angle, (2, 1), reshape=False, output=turned, order=1, mode="reflect")
        return check_images(out)

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """Its stand-in: the same angles and interpolation."""
        import torch
        import torch.nn.functional as F

        h, w = x.shape[2:]
        angles = np.deg2rad(self.angles(x))
        cos, sin = np.cos(angles), np.sin(angles)
        rows = [[cos, -sin * h / w, 0 * cos], [sin * w / h, cos, 0 * cos]]
        theta = torch.as_tensor(np.array(rows), dtype=x.dtype, device=x.device).permute(2, 0, 1)
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
