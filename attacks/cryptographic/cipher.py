"""Base of the ciphers: 8-bit images in and out, and no keystream used twice."""

from __future__ import annotations

import secrets
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from art.estimators.classification import PyTorchClassifier

from priemo_bench.attacks.base import ModelFreeAttack
from priemo_bench.contracts.attack import Traits
from priemo_bench.contracts.image import ByteImages, FloatImages, publish, to_float

Indices = npt.NDArray[np.int64]


class Cipher(ModelFreeAttack):
    """Base of ciphers of published (8-bit) images, which `decrypt` restores exactly.

    The keystream of an image depends on the key and on the index of the image, which counts over
    all calls of `generate`. Subclasses implement `_encrypt` and `_decrypt`.

    Args:
        random_state: seed of the key where none is given, for benchmarks: whoever knows the seed
            has the key. None takes a secret key.
    """

    traits: ClassVar[Traits] = Traits("cryptographic", random=True)
    # The key is not among `attack_params`, which ART prints.
    attack_params = [*ModelFreeAttack.attack_params, "random_state"]

    def __init__(
        self, classifier: PyTorchClassifier | None = None, random_state: int | None = None
    ) -> None:
        super().__init__(classifier)
        self.random_state = random_state
        self.n_encrypted = 0

    def _run(self, x: FloatImages) -> FloatImages:
        """Images rounded to 8 bits, encrypted; values are exactly k/255."""
        first, self.n_encrypted = self.n_encrypted, self.n_encrypted + len(x)
        return to_float(self._encrypt(publish(x), np.arange(first, self.n_encrypted)))

    def decrypt(self, x: FloatImages, first: int = 0) -> FloatImages:
        """The original images, exactly as published.

        Args:
            x: (n, 1 or 3, h, w) encrypted images, floats in [0, 1], from `generate`.
            first: index of the first of them, counted over all calls of `generate`.
        """
        pixels = publish(x)
        return to_float(self._decrypt(pixels, np.arange(first, first + len(pixels))))

    def _encrypt(self, pixels: ByteImages, indices: Indices) -> ByteImages:
        """(n, c, h, w) images with indices (n,) to encrypted ones, a new array."""
        raise NotImplementedError

    def _decrypt(self, pixels: ByteImages, indices: Indices) -> ByteImages:
        """The inverse of `_encrypt`."""
        raise NotImplementedError


def new_key(random_state: int | None) -> bytes:
    """32 bytes, secret or from a seed."""
    if random_state is None:
        return secrets.token_bytes(32)
    return np.random.default_rng(random_state).bytes(32)
