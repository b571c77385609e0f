"""What the ciphers share: 8-bit images in and out, and no keystream used twice."""

from __future__ import annotations

import secrets
from typing import Any, ClassVar

import numpy as np

from priemo_bench.attacks.base import ModelFreeAttack
from priemo_bench.contracts.attack import Traits
from priemo_bench.contracts.image import ByteImages, FloatImages, publish, to_float


class Cipher(ModelFreeAttack):
    """Encrypts published (8-bit) images; `decrypt` gives them back exactly.

    Image number i of an instance, counted over all calls of `generate`, has a keystream of its
    own that depends on the key and on i alone, so a second call continues the count. Subclasses
    implement `_encrypt` and `_decrypt`.

    Args:
        random_state: seed of the key when none is given; None draws a secret one. A seed is for
            benchmarks: whoever knows it has the key.
    """

    traits: ClassVar[Traits] = Traits("cryptographic", random=True)
    # The key is not among `attack_params`, which ART prints.
    attack_params = [*ModelFreeAttack.attack_params, "random_state"]

    def __init__(self, classifier: Any = None, random_state: int | None = None) -> None:
        super().__init__(classifier)
        self.random_state = random_state
        self.used = 0

    def protect(self, x: FloatImages) -> FloatImages:
        """Images rounded to 8 bits, encrypted: values are exactly k/255."""
        first, self.used = self.used, self.used + len(x)
        return to_float(self._encrypt(publish(x), np.arange(first, self.used)))

    def decrypt(self, x: np.ndarray, first: int = 0) -> FloatImages:
        """The images behind `generate`'s, exactly as published.

        Args:
            x: (n, 1 or 3, h, w) encrypted floats in [0, 1].
            first: number of the first of them, counted over all calls of `generate`.
        """
        pixels = publish(x)
        return to_float(self._decrypt(pixels, np.arange(first, first + len(pixels))))

    def _encrypt(self, pixels: ByteImages, numbers: np.ndarray) -> ByteImages:
        """(n, c, h, w) plain images with these numbers (n,) to encrypted ones, a new array."""
        raise NotImplementedError

    def _decrypt(self, pixels: ByteImages, numbers: np.ndarray) -> ByteImages:
        """The inverse of `_encrypt`."""
        raise NotImplementedError


def new_key(random_state: int | None) -> bytes:
    """32 bytes: secret, or from a seed."""
    if random_state is None:
        return secrets.token_bytes(32)
    return np.random.default_rng(random_state).bytes(32)
