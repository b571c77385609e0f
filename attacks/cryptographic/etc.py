"""Block-wise encryption-then-compression (EtC): the result can still be compressed as JPEG.

Kurihara, Shiota & Kiya, "An encryption-then-compression system for JPEG standard", PCS 2015, with
the blocks of 16x16 of Chuman, Sirichotedumrong & Kiya, "Encryption-then-compression systems using
grayscale-based image encryption for JPEG images", IEEE TIFS 14(6), 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from art.estimators.classification import PyTorchClassifier

from priemo_bench.attacks.cryptographic.cipher import Cipher, Indices, new_key
from priemo_bench.contracts.image import ByteImages
from priemo_bench.errors import PriemoError, require


@dataclass(frozen=True)
class _ImageKey:
    """Secrets of one image of m blocks.

    Attributes:
        order: (m,) permutation of the blocks. rotations: (m,) quarter turns. flips: (m,).
        masks: (m,) 255 where the block is negated, else 0. channels: (m, c) permutations.
    """

    order: npt.NDArray[np.int64]
    rotations: npt.NDArray[np.int64]
    flips: npt.NDArray[np.bool_]
    masks: npt.NDArray[np.uint8]
    channels: npt.NDArray[np.int64]


class EtC(Cipher):
    """Permutes blocks, rotates and flips each, negates half of them, shuffles channels (RGB).

    Args:
        key: 32 bytes, or None for one from `random_state`.
        block: side of a block in pixels; it must divide the sides of the image.
    """

    attack_params = [*Cipher.attack_params, "block"]

    def __init__(
        self,
        classifier: PyTorchClassifier | None = None,
        key: bytes | None = None,
        block: int = 16,
        random_state: int | None = None,
    ) -> None:
        super().__init__(classifier, random_state)
        self.key = new_key(random_state) if key is None else key
        self.block = block
        self._check_params()

    def _encrypt(self, pixels: ByteImages, indices: Indices) -> ByteImages:
        blocks = self._split(pixels)
        for i, index in enumerate(indices):
            key = self._image_key(int(index), *blocks.shape[1:3])
            moved = _rotate_flip(blocks[i, key.order], key.rotations, key.flips)
            moved = np.take_along_axis(moved, key.channels[..., None, None], axis=1)
            blocks[i] = moved ^ key.masks[:, None, None, None]
        return self._join(blocks, pixels.shape)

    def _decrypt(self, pixels: ByteImages, indices: Indices) -> ByteImages:
        blocks = self._split(pixels)
        for i, index in enumerate(indices):
            key = self._image_key(int(index), *blocks.shape[1:3])
            plain = blocks[i] ^ key.masks[:, None, None, None]
            plain = np.take_along_axis(plain, key.channels.argsort(1)[..., None, None], axis=1)
            # A rotation with a flip is its own inverse; without one it is completed to 360 degrees.
            inverse = np.where(key.flips, key.rotations, -key.rotations % 4)
            blocks[i, key.order] = _rotate_flip(plain, inverse, key.flips)
        return self._join(blocks, pixels.shape)

    def _image_key(self, index: int, blocks: int, channels: int) -> _ImageKey:
        seed = np.random.SeedSequence(int.from_bytes(self.key, "big"), spawn_key=(index,))
        rng = np.random.default_rng(seed)
        return _ImageKey(
            rng.permutation(blocks),
            rng.integers(0, 4, blocks),
            rng.integers(0, 2, blocks).astype(bool),
            rng.integers(0, 2, blocks).astype(np.uint8) * np.uint8(255),
            rng.permuted(np.tile(np.arange(channels), (blocks, 1)), axis=1),
        )

    def _split(self, pixels: ByteImages) -> ByteImages:
        """(n, c, h, w) to (n, blocks, c, block, block), a copy."""
        n, c, h, w = pixels.shape
        b = self.block
        if h % b or w % b:
            raise PriemoError(
                f"x has images of {h}x{w}; the block of {b} must divide both sides: "
                "give another block, or resize the images"
            )
        grid = pixels.reshape(n, c, h // b, b, w // b, b).transpose(0, 2, 4, 1, 3, 5)
        return grid.reshape(n, -1, c, b, b).copy()

    def _join(self, blocks: ByteImages, shape: tuple[int, ...]) -> ByteImages:
        """The inverse of `_split`."""
        n, c, h, w = shape
        b = self.block
        grid = blocks.reshape(n, h // b, w // b, c, b, b).transpose(0, 3, 1, 4, 2, 5)
        return np.ascontiguousarray(grid.reshape(shape))

    def _check_params(self) -> None:
        whole = isinstance(self.key, bytes) and len(self.key) == 32
        require(whole, "key", type(self.key).__name__, "32 bytes")
        whole = isinstance(self.block, int) and self.block >= 2
        require(whole, "block", self.block, "a whole number from 2")


def _rotate_flip(
    blocks: ByteImages, rotations: npt.NDArray[np.int64], flips: npt.NDArray[np.bool_]
) -> ByteImages:
    """Each of (m, c, b, b) rotated by quarter turns, then mirrored left to right where `flips`."""
    out = np.empty_like(blocks)
    for quarters in range(4):
        chosen = rotations == quarters
        out[chosen] = np.rot90(blocks[chosen], quarters, axes=(2, 3))
    out[flips] = out[flips, ..., ::-1]
    return out
