"""Image transforms as people use them to hide a face, without a surrogate.

Each has one knob; `traits.strengths` lists its values from weakest to strongest.
"""

from __future__ import annotations

from io import BytesIO
from typing import ClassVar

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch.nn.functional import interpolate

from priemo_bench.attacks.base import ModelFreeAttack
from priemo_bench.contracts.attack import Traits
from priemo_bench.contracts.image import ByteImages, FloatImages, check_images, publish, to_float
from priemo_bench.errors import require


class GaussianBlur(ModelFreeAttack):
    """Gaussian blur, per channel, borders reflected, kernel truncated at 4 sigma.

    Args:
        sigma: standard deviation in pixels, above 0.

    Example:
        >>> from priemo_bench.attacks.transform import GaussianBlur
        >>> from priemo_bench.testing import toy_faces
        >>> x, y = toy_faces()
        >>> bool(GaussianBlur(sigma=2).generate(x).std() < x.std())
        True
    """

    traits: ClassVar[Traits] = Traits(
        "transform",
        knob="sigma",
        strengths=(0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8, 1, 1.5, 2, 3, 4),
    )
    attack_params = [*ModelFreeAttack.attack_params, "sigma"]

    def __init__(self, classifier: PyTorchClassifier | None = None, sigma: float = 2.0) -> None:
        super().__init__(classifier)
        self.sigma = sigma
        self._check_params()

    def _run(self, x: FloatImages) -> FloatImages:
        return check_images(gaussian_filter(x, (0, 0, self.sigma, self.sigma)))

    def _check_params(self) -> None:
        require(self.sigma > 0, "sigma", self.sigma, "above 0 pixels")


class Pixelation(ModelFreeAttack):
    """Each block of pixels becomes its mean; blocks at the right and lower border may be smaller.

    Args:
        block: side of a block in pixels, at least 2.
    """

    traits: ClassVar[Traits] = Traits(
        "transform", knob="block", strengths=(2, 3, 4, 5, 6, 8, 10, 12, 16)
    )
    attack_params = [*ModelFreeAttack.attack_params, "block"]

    def __init__(self, classifier: PyTorchClassifier | None = None, block: int = 8) -> None:
        super().__init__(classifier)
        self.block = block
        self._check_params()

    def _run(self, x: FloatImages) -> FloatImages:
        for axis in (2, 3):
            starts = np.arange(0, x.shape[axis], self.block)
            sizes = np.diff(starts, append=x.shape[axis])
            sums = np.add.reduceat(x.astype(np.float64), starts, axis)
            shape = [-1 if a == axis else 1 for a in range(4)]
            x = np.repeat(sums / sizes.reshape(shape), sizes, axis)
        return check_images(x)

    def _check_params(self) -> None:
        require(int(self.block) == self.block >= 2, "block", self.block, "a whole number from 2")
        self.block = int(self.block)


class JPEG(ModelFreeAttack):
    """JPEG compression of the 8-bit image by Pillow, grey as mode L.

    Args:
        quality: 1 (worst) to 95 (best).
    """

    traits: ClassVar[Traits] = Traits(
        "transform", knob="quality", strengths=(95, 92, 90, 85, 80, 75, 60, 50, 40, 30, 20, 10, 5)
    )
    attack_params = [*ModelFreeAttack.attack_params, "quality"]

    def __init__(self, classifier: PyTorchClassifier | None = None, quality: int = 20) -> None:
        super().__init__(classifier)
        self.quality = quality
        self._check_params()

    def _run(self, x: FloatImages) -> FloatImages:
        return to_float(np.stack([self._compress(image) for image in publish(x)]))

    def _compress(self, image: ByteImages) -> ByteImages:
        buffer = BytesIO()
        pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
        Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=self.quality)
        decoded: ByteImages = np.asarray(Image.open(buffer))
        return decoded[None] if decoded.ndim == 2 else decoded.transpose(2, 0, 1)

    def _check_params(self) -> None:
        whole = int(self.quality) == self.quality
        require(whole and 1 <= self.quality <= 95, "quality", self.quality, "a whole number 1..95")
        self.quality = int(self.quality)


class DownUp(ModelFreeAttack):
    """Downsampling (bilinear, antialiased) and upsampling to the original size (bilinear).

    Args:
        factor: of downsampling, above 1; sides are rounded to at least one pixel.
    """

    traits: ClassVar[Traits] = Traits(
        "transform", knob="factor", strengths=(1.1, 1.25, 1.5, 2, 2.5, 3, 4, 6, 8)
    )
    attack_params = [*ModelFreeAttack.attack_params, "factor"]

    def __init__(self, classifier: PyTorchClassifier | None = None, factor: float = 4.0) -> None:
        super().__init__(classifier)
        self.factor = factor
        self._check_params()

    def _run(self, x: FloatImages) -> FloatImages:
        size = [max(1, round(side / self.factor)) for side in x.shape[2:]]
        small = interpolate(torch.tensor(x), size, mode="bilinear", antialias=True)
        return check_images(interpolate(small, x.shape[2:], mode="bilinear").numpy())

    def _check_params(self) -> None:
        require(self.factor > 1, "factor", self.factor, "above 1")


class BrightnessContrast(ModelFreeAttack):
    """Blending with white: (1 - strength) x + strength, so that nothing is clipped.

    Args:
        strength: share of white in (0, 1).
    """

    traits: ClassVar[Traits] = Traits(
        "transform",
        knob="strength",
        strengths=(0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 0.95),
    )
    attack_params = [*ModelFreeAttack.attack_params, "strength"]

    def __init__(self, classifier: PyTorchClassifier | None = None, strength: float = 0.5) -> None:
        super().__init__(classifier)
        self.strength = strength
        self._check_params()

    def _run(self, x: FloatImages) -> FloatImages:
        return check_images((1 - np.float32(self.strength)) * x + np.float32(self.strength))

    def _check_params(self) -> None:
        require(0 < self.strength < 1, "strength", self.strength, "between 0 and 1")
