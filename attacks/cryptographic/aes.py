"""AES-256 in counter mode over the pixels (FIPS 197, NIST SP 800-38A)."""

from __future__ import annotations

from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher as Stream
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from priemo_bench.attacks.cryptographic.cipher import Cipher, new_key
from priemo_bench.contracts.image import ByteImages
from priemo_bench.errors import require


class AESCTR(Cipher):
    """AES-256-CTR; the counter block is the image number and the block number, 8 bytes each.

    A stream cipher: one changed pixel changes one pixel of the result, unlike chaotic diffusion.

    Args:
        key: 32 bytes, or None for one from `random_state`.
    """

    def __init__(
        self, classifier: Any = None, key: bytes | None = None, random_state: int | None = None
    ) -> None:
        super().__init__(classifier, random_state)
        self.key = new_key(random_state) if key is None else key
        self._check_params()

    def _encrypt(self, pixels: ByteImages, numbers: np.ndarray) -> ByteImages:
        done = [self._one(image, int(i)) for image, i in zip(pixels, numbers, strict=True)]
        return np.stack(done)

    _decrypt = _encrypt

    def _one(self, image: ByteImages, number: int) -> ByteImages:
        stream = Stream(AES(self.key), CTR(number.to_bytes(8, "big") + bytes(8))).encryptor()
        data = stream.update(image.tobytes()) + stream.finalize()
        return np.frombuffer(data, np.uint8).reshape(image.shape)

    def _check_params(self) -> None:
        whole = isinstance(self.key, bytes) and len(self.key) == 32
        require(whole, "key", type(self.key).__name__, "32 bytes for AES-256")
