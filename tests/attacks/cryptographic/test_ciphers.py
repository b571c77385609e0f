"""What holds for every cipher, and what each of them is by definition.

By the statistics of Wu, Noonan & Agaian, "NPCR and UACI randomness tests for image encryption", J.
Selected Areas in Telecommunications, 2011: two independent uniform images have NPCR 255/256 and
UACI 257/768; a uniform one has nearly 8 bits of entropy.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher as Block
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from scipy.ndimage import gaussian_filter
from skimage.measure import shannon_entropy

from priemo_bench.attacks.cryptographic import AESCTR, CatMapKey, CatMapLogistic, Cipher, EtC
from priemo_bench.attacks.cryptographic.cat_map import cat_map, logistic_bytes
from priemo_bench.attacks.transform import JPEG
from priemo_bench.contracts.image import ByteImages, publish, to_float
from priemo_bench.errors import PriemoError

CIPHERS = [AESCTR, CatMapLogistic, EtC]
FULL = [AESCTR, CatMapLogistic]
PerImage = npt.NDArray[np.float64]


def npcr(x: ByteImages, y: ByteImages) -> PerImage:
    """(n,) share of pixel values that differ."""
    return (x != y).mean((1, 2, 3))


def uaci(x: ByteImages, y: ByteImages) -> PerImage:
    """(n,) mean change of a pixel value as a share of 255."""
    return np.abs(x.astype(np.int16) - y).mean((1, 2, 3)) / 255


def entropy(x: ByteImages) -> PerImage:
    """(n,) Shannon entropy of the grey levels in bits, by scikit-image."""
    return np.array([shannon_entropy(image) for image in x])


def neighbour_correlation(x: ByteImages) -> PerImage:
    """(n,) correlation of horizontally adjacent pixels: near 1 in photographs, 0 in noise."""
    return np.array([np.corrcoef(i[..., :-1].ravel(), i[..., 1:].ravel())[0, 1] for i in x])


def smooth(n: int, channels: int, side: int) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 2.5, (n, channels, side, side))
    return (0.5 + gaussian_filter(noise, (0, 0, 6, 6))).clip(0, 1).astype(np.float32)


@pytest.mark.parametrize("make", CIPHERS)
@pytest.mark.parametrize(("channels", "side"), [(1, 48), (3, 32)])
class TestEveryCipher:
    def test_decrypts_exactly_over_several_calls(
        self, make: type[Cipher], channels: int, side: int
    ) -> None:
        x = smooth(5, channels, side)
        cipher = make(random_state=0)
        first, second = cipher.generate(x[:2]), cipher.generate(x[2:])
        other = make(random_state=0)
        np.testing.assert_array_equal(publish(other.decrypt(first)), publish(x[:2]))
        np.testing.assert_array_equal(publish(other.decrypt(second, first=2)), publish(x[2:]))

    def test_another_key_decrypts_nothing(
        self, make: type[Cipher], channels: int, side: int
    ) -> None:
        x = smooth(3, channels, side)
        wrong = make(random_state=1).decrypt(make(random_state=0).generate(x))
        assert npcr(publish(wrong), publish(x)).mean() > 0.9

    def test_result_is_on_the_8_bit_grid(
        self, make: type[Cipher], channels: int, side: int
    ) -> None:
        y = make(random_state=0).generate(smooth(3, channels, side))
        np.testing.assert_array_equal(y, to_float(publish(y)))

    def test_equal_images_are_encrypted_differently(
        self, make: type[Cipher], channels: int, side: int
    ) -> None:
        x = smooth(1, channels, side).repeat(4, 0)
        cipher = make(random_state=0)
        y = publish(np.concatenate([cipher.generate(x[:2]), cipher.generate(x[2:])]))
        for i in range(3):
            assert npcr(y[i : i + 1], y[i + 1 :][:1])[0] > 0.9


@pytest.mark.parametrize("make", CIPHERS)
def test_without_a_seed_the_key_is_new_and_never_printed(make: type[Cipher]) -> None:
    one, two = make(), make()
    assert one.key != two.key  # type: ignore[attr-defined]
    assert "key" not in repr(one)


@pytest.mark.parametrize("make", FULL)
def test_result_looks_uniform(make: type[Cipher]) -> None:
    x = smooth(8, 1, 96)
    y, z = (publish(make(random_state=seed).generate(x)) for seed in (0, 1))
    assert npcr(y, z).mean() == pytest.approx(255 / 256, abs=1e-3)
    assert uaci(y, z).mean() == pytest.approx(257 / 768, abs=4e-3)
    # Of 9216 uniform values: 8 bits less (256 - 1) / (2 * 9216 * ln 2).
    np.testing.assert_allclose(entropy(y), 8 - 255 / (2 * 9216 * np.log(2)), atol=5e-3)
    np.testing.assert_allclose(neighbour_correlation(y), 0, atol=0.05)


def test_one_pixel_changes_the_whole_image_of_the_chaotic_cipher() -> None:
    x = publish(smooth(60, 1, 48))
    z = x.copy()
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, 48, (2, 60))
    z[np.arange(60), 0, rows, columns] ^= np.resize([1, 2, 128], 60).astype(np.uint8)
    y, changed = (publish(CatMapLogistic(random_state=0).generate(to_float(v))) for v in (x, z))
    assert npcr(y, changed).mean() == pytest.approx(255 / 256, abs=1e-3)
    assert uaci(y, changed).mean() == pytest.approx(257 / 768, abs=3e-3)


def test_aes_is_the_block_cipher_on_a_counter() -> None:
    key = bytes(range(32))
    black = np.zeros((2, 1, 8, 6), np.float32)
    blocks = b"".join(i.to_bytes(8, "big") + b.to_bytes(8, "big") for i in (0, 1) for b in range(3))
    expected = Block(AES(key), ECB()).encryptor().update(blocks)
    assert publish(AESCTR(key=key).generate(black)).tobytes() == expected


@pytest.mark.parametrize(("side", "period"), [(2, 3), (3, 4), (5, 10), (124, 15), (150, 300)])
def test_period_of_arnolds_cat(side: int, period: int) -> None:
    def arnold(iterations: int) -> np.ndarray:
        return cat_map(side, CatMapKey(0.5, 3.99, 1, 1, iterations))

    start = np.arange(side * side)
    np.testing.assert_array_equal(arnold(period), start)
    assert not any(np.array_equal(arnold(i), start) for i in range(1, period))


def test_cat_map_moves_by_its_formula() -> None:
    target = cat_map(7, CatMapKey(0.5, 3.99, 3, 2, 1))
    for r in range(7):
        for c in range(7):
            assert target[7 * r + c] == 7 * ((r + 3 * c) % 7) + (2 * r + 7 * c) % 7
    assert sorted(cat_map(50, CatMapKey(0.5, 3.99, 31, 17, 9))) == list(range(2500))


def test_logistic_stream_is_that_of_plain_floats() -> None:
    x, expected = 0.37, []
    for i in range(200 + 50):
        x = 3.995 * x * (1 - x)
        expected += [int(x * 1e14) % 256] if i >= 200 else []
    assert logistic_bytes(np.array([0.37]), 3.995, 50)[:, 0].tolist() == expected


def test_etc_keeps_what_a_block_holds() -> None:
    """A block is moved, rotated, mirrored, negated: the set of min(v, 255 - v) stays."""
    x = publish(smooth(2, 3, 48))
    y = publish(EtC(random_state=0).generate(to_float(x)))

    def contents(pixels: np.ndarray) -> list[tuple[int, ...]]:
        blocks = pixels.reshape(3, 3, 16, 3, 16).transpose(1, 3, 0, 2, 4).reshape(9, -1)
        return sorted(tuple(sorted(np.minimum(b, 255 - b))) for b in blocks)

    for plain, hidden in zip(x, y, strict=True):
        assert contents(plain) == contents(hidden)


def test_etc_can_be_compressed_and_aes_cannot() -> None:
    x = smooth(4, 1, 96)
    errors = [
        np.abs(JPEG(quality=80).generate(y) - y).mean()
        for y in (make(random_state=0).generate(x) for make in (EtC, AESCTR))
    ]
    assert errors[0] < errors[1] / 5


def test_statistics_of_independent_uniform_images() -> None:
    x, y = np.random.default_rng(0).integers(0, 256, (2, 4, 3, 64, 64), np.uint8)
    assert npcr(x, y).mean() == pytest.approx(255 / 256, abs=1e-3)
    assert uaci(x, y).mean() == pytest.approx(257 / 768, abs=3e-3)
    np.testing.assert_allclose(neighbour_correlation(x), 0, atol=0.04)


def test_wrong_shapes_and_keys() -> None:
    x = np.zeros((1, 1, 40, 48), np.float32)
    with pytest.raises(PriemoError, match="square"):
        CatMapLogistic().generate(x)
    with pytest.raises(PriemoError, match="block of 16"):
        EtC().generate(x)
    assert EtC(block=8).generate(x).shape == x.shape
    for make in (AESCTR, EtC):
        with pytest.raises(PriemoError, match="32 bytes"):
            make(key=b"short")
    for bad in ({"x0": 1.0}, {"mu": 4.2}, {"p": 0}, {"iterations": 1.5}):
        with pytest.raises(PriemoError, match=next(iter(bad))):
            CatMapKey(**{"x0": 0.5, "mu": 3.99, "p": 1, "q": 1, "iterations": 1, **bad})
    with pytest.raises(PriemoError, match="rounds"):
        CatMapLogistic(rounds=0)
    with pytest.raises(PriemoError, match="CatMapKey"):
        CatMapLogistic(key=b"x")  # type: ignore[arg-type]
    with pytest.raises(PriemoError, match="block"):
        EtC(block=1)
