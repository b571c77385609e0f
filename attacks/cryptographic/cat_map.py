"""Chaotic image encryption: Arnold's cat map permutes pixels, the logistic map changes them.

The permutation-diffusion architecture of Fridrich, "Symmetric ciphers based on two-dimensional
chaotic maps", Int. J. Bifurcation and Chaos 8(6), 1998, with the generalised cat map of Chen, Mao
& Chui, "A symmetric image encryption scheme based on 3D chaotic cat maps", Chaos, Solitons &
Fractals 21, 2004. Schemes of this kind are a baseline of the literature, not proven cryptography.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from art.estimators.classification import PyTorchClassifier

from priemo_bench.attacks.cryptographic.cipher import Cipher, Indices
from priemo_bench.contracts.image import ByteImages
from priemo_bench.errors import PriemoError, require

TRANSIENT = 200
"""First steps of the logistic map that are discarded."""
GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class CatMapKey:
    """Key of `CatMapLogistic`.

    Attributes:
        x0, mu: initial value in (0, 1) and parameter in [3.9, 4) of x <- mu x (1 - x).
        p, q: parameters of the cat map (r, c) <- (r + p c, q r + (p q + 1) c) modulo the side.
        iterations: of the cat map in each round.
    """

    x0: float
    mu: float
    p: int
    q: int
    iterations: int

    def __post_init__(self) -> None:
        require(0 < self.x0 < 1, "x0", self.x0, "between 0 and 1")
        require(3.9 <= self.mu < 4, "mu", self.mu, "in [3.9, 4), where the map is chaotic")
        for name in ("p", "q", "iterations"):
            value = getattr(self, name)
            require(isinstance(value, int) and value >= 1, name, value, "a whole number from 1")

    @classmethod
    def from_seed(cls, random_state: int | None) -> CatMapKey:
        """A key from a seed; None takes a secret one."""
        rng = np.random.default_rng(random_state)
        p, q, iterations = (int(v) for v in rng.integers(1, 1000, 3))
        return cls(rng.uniform(0.1, 0.9), rng.uniform(3.99, 4), p, q, iterations)


class CatMapLogistic(Cipher):
    """Rounds of cat-map permutation, then diffusion forward and backward over all pixels.

    Diffusion is c[i] = rotate(p[i] + c[i-1], 3 bits) xor k[i], k from the logistic map. The
    feedback carries a changed pixel into all others; the rotation mixes in the lowest bit, on
    which sums and xors alone are linear.

    Args:
        key: `CatMapKey`, or None for one from `random_state`.
        rounds: at least 1; with two, one changed pixel changes 99.6 % of all by a third of 255.
    """

    attack_params = [*Cipher.attack_params, "rounds"]

    def __init__(
        self,
        classifier: PyTorchClassifier | None = None,
        key: CatMapKey | None = None,
        rounds: int = 2,
        random_state: int | None = None,
    ) -> None:
        super().__init__(classifier, random_state)
        self.key = CatMapKey.from_seed(random_state) if key is None else key
        self.rounds = rounds
        self._check_params()

    def _encrypt(self, pixels: ByteImages, indices: Indices) -> ByteImages:
        target = cat_map(_side(pixels), self.key)
        flat = pixels.reshape(*pixels.shape[:2], -1)
        for forward, backward in self._streams(pixels[0].size, indices):
            moved = np.empty_like(flat)
            moved[..., target] = flat
            rows = _diffuse(moved.reshape(len(flat), -1).T, forward)
            flat = _diffuse(rows[::-1], backward)[::-1].T.reshape(flat.shape)
        return np.ascontiguousarray(flat.reshape(pixels.shape))

    def _decrypt(self, pixels: ByteImages, indices: Indices) -> ByteImages:
        target = cat_map(_side(pixels), self.key)
        flat = pixels.reshape(*pixels.shape[:2], -1)
        for forward, backward in reversed(self._streams(pixels[0].size, indices)):
            rows = _undiffuse(flat.reshape(len(flat), -1).T[::-1], backward)[::-1]
            flat = _undiffuse(rows, forward).T.reshape(flat.shape)[..., target]
        return np.ascontiguousarray(flat.reshape(pixels.shape))

    def _streams(self, size: int, indices: Indices) -> list[tuple[ByteImages, ByteImages]]:
        """For each round the keystreams (size + 1, n) of the forward and the backward diffusion."""
        start = 0.1 + 0.8 * ((self.key.x0 + indices * GOLDEN) % 1)
        stream = logistic_bytes(
            np.asarray(start, np.float64), self.key.mu, 2 * self.rounds * (size + 1)
        )
        parts = np.split(stream, 2 * self.rounds)
        return list(zip(parts[::2], parts[1::2], strict=True))

    def _check_params(self) -> None:
        known = isinstance(self.key, CatMapKey)
        require(known, "key", type(self.key).__name__, "a CatMapKey")
        whole = isinstance(self.rounds, int) and self.rounds >= 1
        require(whole, "rounds", self.rounds, "a whole number from 1")


def _side(pixels: ByteImages) -> int:
    height, width = int(pixels.shape[2]), int(pixels.shape[3])
    if height != width:
        raise PriemoError(
            f"x has images of {height}x{width}; Arnold's cat map needs square ones: crop or resize"
        )
    return height


def cat_map(side: int, key: CatMapKey) -> npt.NDArray[np.int64]:
    """(side * side,) row-major index that each pixel of a square moves to."""
    once = np.array([[1, key.p % side], [key.q % side, (key.p * key.q + 1) % side]], np.int64)
    matrix = np.eye(2, dtype=np.int64)
    for _ in range(key.iterations):
        matrix = once @ matrix % side
    places = np.stack(np.divmod(np.arange(side * side), side))
    rows, columns = matrix @ places % side
    moved: npt.NDArray[np.int64] = rows * side + columns
    return moved


def logistic_bytes(start: npt.NDArray[np.float64], mu: float, size: int) -> ByteImages:
    """(size, n) bytes: floor(1e14 x) mod 256 along the logistic map from `start` (n,)."""
    x = start
    values = np.empty((size, len(x)))
    for _ in range(TRANSIENT):
        x = mu * x * (1 - x)
    for i in range(size):
        x = mu * x * (1 - x)
        values[i] = x
    return ((values * 1e14).astype(np.uint64) & 255).astype(np.uint8)


def _diffuse(rows: ByteImages, stream: ByteImages) -> ByteImages:
    """(size, n) with feedback from row to row; row 0 of the stream (size + 1, n) is the first."""
    out = np.empty(rows.shape, np.uint8)
    last = stream[0]
    for i, row in enumerate(rows):
        total = row + last
        last = out[i] = ((total << 3) | (total >> 5)) ^ stream[i + 1]
    return out


def _undiffuse(rows: ByteImages, stream: ByteImages) -> ByteImages:
    """The inverse of `_diffuse`."""
    total = rows ^ stream[1:]
    rotated = np.asarray((total >> 3) | (total << 5), np.uint8)
    plain: ByteImages = rotated - np.concatenate([stream[:1], rows[:-1]])
    return plain
