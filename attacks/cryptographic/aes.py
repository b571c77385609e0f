"""AES-256 in counter mode over the pixels (FIPS 197, NIST SP 800-38A)."""

from __future__ import annotations

import numpy as np
from art.estimators.classification import PyTorchClassifier
from cryptography.hazmat.primitives.ciphers import Cipher as StreamCipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from priemo_bench.attacks.cryptographic.cipher import Cipher, Indices, new_key
from priemo_bench.contracts.image import ByteImages
from priemo_bench.errors import require


class AESCTR(Cipher):
    """AES-256-CTR; the counter block is the image index and the block index, 8 bytes each.

    A stream cipher, without diffusion: a changed pixel changes one pixel of the result.

    Args:
        key: 32 bytes, or None for one from `random_state`.

    Example:
        >>> from priemo_bench.attacks.cryptographic import AESCTR
        >>> from priemo_bench.testing import toy_faces
        >>> x, y = toy_faces()
        >>> cipher = AESCTR(random_state=0)
        >>> encrypted = cipher.generate(x)
        >>> bool((cipher.decrypt(encrypted) == x).all())
        True
    """

    def __init__(
        self,
        classifier: PyTorchClassifier | None = None,
        key: bytes | None = None,
        random_state: int | None = None,
    ) -> None:
        super().__init__(classifier, random_state)
        self.key = new_key(random_state) if key is None else key
        self._check_params()

    def _encrypt(self, pixels: ByteImages, indices: Indices) -> ByteImages:
        return np.stack(
            [self._one(image, int(i)) for image, i in zip(pixels, indices, strict=True)]
        )

    _decrypt = _encrypt

    def _one(self, image: ByteImages, index: int) -> ByteImages:
        counter = CTR(index.to_bytes(8, "big") + bytes(8))
        encryptor = StreamCipher(AES(self.key), counter).encryptor()
        data = encryptor.update(image.tobytes()) + encryptor.finalize()
        return np.frombuffer(data, np.uint8).reshape(image.shape)

    def _check_params(self) -> None:
        whole = isinstance(self.key, bytes) and len(self.key) == 32
        require(whole, "key", type(self.key).__name__, "32 bytes for AES-256")
