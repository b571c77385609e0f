"""Block-wise encryption-then-compression (EtC): what is left can still be compressed as JPEG.

Kurihara, Shiota & Kiya, "An encryption-then-compression system for JPEG standard", PCS 2015, with
the blocks of 16x16 of Chuman, Sirichotedumrong & Kiya, "Encryption-then-compression systems using
grayscale-based image encryption for JPEG images", IEEE TIFS 14(6), 2019.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from priemo_bench.attacks.cryptographic.cipher import Cipher, new_key
from priemo_bench.contracts.image import ByteImages
from priemo_bench.errors import PriemoError, require


class EtC(Cipher):
    """Blocks permuted, each rotated and flipped, negated or not, its channels shuffled (RGB).

    Args:
        key: 32 bytes, or None for one from `random_state`.
        block: side of a block in pixels; it must divide the sides of the image.
    """

    attack_params = [*Cipher.attack_params, "block"]

    def __init__(
        self,
        classifier: Any = None,
        key: bytes | None = None,
        block: int = 16,
        random_state: int | None = None,
    ) -> None:
        super().__init__(classifier, random_state)
        self.key = new_key(random_state) if key is None else key
        self.block = block
        self._check_params()

    def _encrypt(self, pixels: ByteImages, numbers: np.ndarray) -> ByteImages:
        blocks = self._split(pixels)
        for i, number in enumerate(numbers):
            order, turns, flips, negative, channels = self._draw(int(number), blocks.shape[1:3])
            part = _turn(blocks[i, order], turns, flips)
            part = np.take_along_axis(part, channels[..., None, None], axis=1)
            blocks[i] = part ^ negative[:, None, None, None]
        return self._join(blocks, pixels.shape)

    def _decrypt(self, pixels: ByteImages, numbers: np.ndarray) -> ByteImages:
        blocks = self._split(pixels)
        for i, number in enumerate(numbers):
            order, turns, flips, negative, channels = self._draw(int(number), blocks.shape[1:3])
            part = blocks[i] ^ negative[:, None, None, None]
            part = np.take_along_axis(part, channels.argsort(1)[..., None, None], axis=1)
            # A flipped turn is its own inverse; a plain one is turned on to the full circle.
            blocks[i, order] = _turn(part, np.where(flips, turns, -turns % 4), flips)
        return self._join(blocks, pixels.shape)

    def _draw(self, number: int, shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        """Secrets of one image: block order, quarter turns, flips, negation masks, channels."""
        count, channels = shape
        seed = np.random.SeedSequence(int.from_bytes(self.key, "big"), spawn_key=(number,))
        rng = np.random.default_rng(seed)
        return (
            rng.permutation(count),
            rng.integers(0, 4, count),
            rng.integers(0, 2, count).astype(bool),
            rng.integers(0, 2, count).astype(np.uint8) * np.uint8(255),
            rng.permuted(np.tile(np.arange(channels), (count, 1)), axis=1),
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
        cut = pixels.reshape(n, c, h // b, b, w // b, b).transpose(0, 2, 4, 1, 3, 5)
        return cut.reshape(n, -1, c, b, b).copy()

    def _join(self, blocks: ByteImages, shape: tuple[int, ...]) -> ByteImages:
        n, c, h, w = shape
        b = self.block
        cut = blocks.reshape(n, h // b, w // b, c, b, b).transpose(0, 3, 1, 4, 2, 5)
        return np.ascontiguousarray(cut.reshape(shape))

    def _check_params(self) -> None:
        whole = isinstance(self.key, bytes) and len(self.key) == 32
        require(whole, "key", type(self.key).__name__, "32 bytes")
        whole = isinstance(self.block, int) and self.block >= 2
        require(whole, "block", self.block, "a whole number from 2")


def _turn(blocks: ByteImages, turns: np.ndarray, flips: np.ndarray) -> ByteImages:
    """Each of (m, c, b, b) turned by quarters, then mirrored left to right where `flips`."""
    out = np.empty_like(blocks)
    for quarters in range(4):
        out[turns == quarters] = np.rot90(blocks[turns == quarters], quarters, axes=(2, 3))
    out[flips] = out[flips, ..., ::-1]
    return out
