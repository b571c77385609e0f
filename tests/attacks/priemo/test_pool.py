"""The keyed pool: which member an image gets, what averaging finds, what a file holds."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from scipy.linalg import hadamard
from scipy.stats import chisquare

from priemo_bench import registry
from priemo_bench.attacks.priemo import ClassPriEMO, PriEMO
from priemo_bench.attacks.priemo.pool import KEY_VARIABLE, PoolPriEMO, apart
from priemo_bench.errors import PriemoError

CLASSES, SIDE = 3, 16  # of the fixtures
KEY = b"a key of thirty-two secret bytes"
QUIET: dict[str, Any] = {"random_state": 0, "verbose": False, "steps": 4}


def fitted(classifier: PyTorchClassifier, faces: np.ndarray, **params: Any) -> PoolPriEMO:
    return PoolPriEMO(classifier, **{**QUIET, "members": 3, "key": KEY, **params}).fit(faces)


@pytest.fixture(scope="module")
def pool(classifier: PyTorchClassifier, faces: np.ndarray) -> PoolPriEMO:
    return fitted(classifier, faces, ssim_floor=0.9, eps=None)


def reference_hmac(key: bytes, words: bytes) -> bytes:
    """HMAC by its definition (RFC 2104)."""
    padded = key.ljust(64, b"\0")
    inner = sha256(bytes(b ^ 0x36 for b in padded) + words).digest()
    return sha256(bytes(b ^ 0x5C for b in padded) + inner).digest()


def test_the_member_follows_from_key_and_bytes_alone(pool: PoolPriEMO, faces: np.ndarray) -> None:
    members = pool.members_of(faces)
    for image, member in zip(faces, members.tolist(), strict=True):
        levels = np.rint(image * 255).astype(np.uint8)
        digest = reference_hmac(KEY, f"(1, {SIDE}, {SIDE}) ".encode() + levels.tobytes())
        assert member == int.from_bytes(digest[:8], "big") % 3
    assert torch.equal(pool.members_of(faces[::-1]).flip(0), members)
    assert torch.equal(pool.members_of(faces + 0.001), members)  # rounds to the same bytes
    other = PoolPriEMO(None, members=3, key=KEY[::-1], verbose=False)
    assert not torch.equal(other.members_of(faces), members)


def test_members_are_equally_frequent() -> None:
    x = np.random.default_rng(0).uniform(size=(2000, 1, 4, 4)).astype(np.float32)
    members = PoolPriEMO(None, members=8, key=KEY, verbose=False).members_of(x)
    assert chisquare(np.bincount(members, minlength=8)).pvalue > 1e-3


def test_a_protected_image_is_that_of_its_member(pool: PoolPriEMO, faces: np.ndarray) -> None:
    """As if the class perturbations of that member were all there is."""
    y = np.arange(len(faces)) % CLASSES
    protected, members = pool.apply(faces, y), pool.members_of(faces).numpy()
    alone = ClassPriEMO(pool.estimator, ssim_floor=0.9, eps=None, **QUIET)
    alone._objective = pool._objective
    for k in range(3):
        assert pool._u is not None
        alone._u = pool._u[CLASSES * k : CLASSES * (k + 1)]
        rows = members == k
        assert rows.any()
        np.testing.assert_array_equal(protected[rows], alone.apply(faces[rows], y[rows]))


def test_averaging_finds_the_mean_of_members_and_no_member() -> None:
    """Members of known entries +-1 that are orthogonal: the mean has 1 / K of their energy."""
    n, members, eps = 4000, 8, 4 / 255
    patterns = torch.tensor(hadamard(SIDE**2)[1 : members + 1], dtype=torch.float32)
    attack = PoolPriEMO(
        None, members=members, key=KEY, ssim_floor=None, eps=eps, verbose=False, random_state=0
    )
    attack._u = patterns.view(members, 1, 1, SIDE, SIDE).expand(-1, 7, -1, -1, -1).flatten(0, 1)
    x = np.random.default_rng(0).uniform(0.2, 0.8, (n, 1, SIDE, SIDE)).astype(np.float32)
    found = (attack.apply(x, np.full(n, 3)) - x).mean(0, np.float64) / eps
    counts = np.bincount(attack.members_of(x), minlength=members)
    expected = (counts[:, None] * patterns.numpy()).sum(0).reshape(1, SIDE, SIDE) / n
    assert np.allclose(found, expected, atol=1e-4)
    assert (found**2).mean() == pytest.approx(1 / members, rel=0.05)
    cosines = patterns.numpy() @ found.ravel() / np.linalg.norm(found) / SIDE
    assert cosines == pytest.approx(np.full(members, members**-0.5), abs=0.03)


def test_a_pool_of_one_is_scope_class(classifier: PyTorchClassifier, faces: np.ndarray) -> None:
    one = fitted(classifier, faces, members=1)
    plain = ClassPriEMO(classifier, **QUIET).fit(faces)
    np.testing.assert_array_equal(one.noise, plain.noise)
    np.testing.assert_array_equal(one.generate(faces), plain.generate(faces))
    assert one.fooling_rate == plain.fooling_rate


def test_the_first_member_is_scope_class_and_the_others_are_orthogonal(
    pool: PoolPriEMO, classifier: PyTorchClassifier, faces: np.ndarray
) -> None:
    plain = ClassPriEMO(classifier, ssim_floor=0.9, eps=None, **QUIET).fit(faces)
    assert pool._u is not None
    assert plain._u is not None
    by_member = pool._u.view(3, CLASSES, -1)
    assert torch.equal(by_member[0], plain._u.flatten(1))
    unit = torch.nn.functional.normalize(by_member, dim=2)
    cosines = torch.einsum("kcp,jcp->ckj", unit, unit)
    assert torch.allclose(cosines, torch.eye(3).expand(CLASSES, 3, 3), atol=1e-4)


def test_a_fit_takes_as_many_passes_as_members(
    classifier: PyTorchClassifier, faces: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: Counter[str] = Counter()
    gradient = ClassPriEMO._gradient

    def counted(self: ClassPriEMO, *args: Any) -> torch.Tensor:
        steps["all"] += 1
        return gradient(self, *args)

    monkeypatch.setattr(ClassPriEMO, "_gradient", counted)
    ClassPriEMO(classifier, **QUIET).fit(faces)
    plain = steps["all"]
    fitted(classifier, faces, members=5)
    assert steps["all"] == 6 * plain


def test_a_part_along_others_is_left_out() -> None:
    """As least squares on the others leaves it (torch.linalg.lstsq)."""
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(16, 3, generator=generator)).Q.T
    u = torch.randn(2, 1, 4, 4, generator=generator)
    others = [3 * row.expand(2, 16).view(2, 1, 4, 4) for row in basis]
    fit = torch.linalg.lstsq(basis.T, u.flatten(1).T).solution
    expected = u.flatten(1) - (basis.T @ fit).T
    assert torch.allclose(apart(u, others).flatten(1), expected, atol=1e-5)
    assert torch.equal(apart(u, [torch.zeros_like(u)]), u)


def test_the_key_is_neither_shown_nor_saved(pool: PoolPriEMO, tmp_path: Path) -> None:
    path = tmp_path / "pool.safetensors"
    pool.save(path)
    assert KEY not in path.read_bytes()
    assert repr(KEY) not in repr(pool)
    assert KEY.decode() not in repr(pool)


def test_a_saved_pool_protects_as_before_once_it_has_its_key(
    pool: PoolPriEMO, faces: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, y = tmp_path / "pool.safetensors", np.arange(len(faces)) % CLASSES
    expected = pool.apply(faces, y)
    pool.save(path)
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with pytest.raises(PriemoError, match="without its key"):
        PoolPriEMO.load(path).apply(faces, y)
    np.testing.assert_array_equal(PoolPriEMO.load(path, key=KEY).apply(faces, y), expected)
    monkeypatch.setenv(KEY_VARIABLE, KEY.decode())
    again = PoolPriEMO.load(path)
    np.testing.assert_array_equal(again.apply(faces, y), expected)
    np.testing.assert_array_equal(again.noise, pool.noise)
    with pytest.raises(PriemoError, match=r"PriEMO\.save"):
        PriEMO.load(path)


def test_a_key_is_saved_where_the_user_asks(
    classifier: PyTorchClassifier, faces: np.ndarray, tmp_path: Path
) -> None:
    attack = fitted(classifier, faces, save_key=True)
    attack.save(tmp_path / "pool.safetensors")
    again = PoolPriEMO.load(tmp_path / "pool.safetensors")
    assert again.key == KEY
    assert torch.equal(again.members_of(faces), attack.members_of(faces))


def test_a_pool_without_its_key_stays_without_it(pool: PoolPriEMO, tmp_path: Path) -> None:
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    pool.save(first)
    PoolPriEMO.load(first).save(second)
    with pytest.raises(PriemoError, match="without its key"):
        _ = PoolPriEMO.load(second).key


def test_without_a_key_the_seed_decides_and_without_both_there_is_a_new_one(
    classifier: PyTorchClassifier, faces: np.ndarray, tmp_path: Path
) -> None:
    attack = fitted(classifier, faces, key=None)
    assert attack.key == PoolPriEMO(None, random_state=0, verbose=False).key
    attack.save(tmp_path / "pool.safetensors")
    assert PoolPriEMO.load(tmp_path / "pool.safetensors").key == attack.key
    fresh = [PoolPriEMO(None, verbose=False) for _ in range(2)]
    assert fresh[0].key == fresh[0].key != fresh[1].key


@pytest.mark.parametrize(
    ("params", "reason"),
    [({"members": 0}, "members"), ({"key": "short"}, "key has 5 bytes"), ({"key": 3}, "key is int"),
     ({"save_key": 1}, "save_key")],
)  # fmt: skip
def test_bad_parameters_are_refused(params: dict[str, Any], reason: str) -> None:
    with pytest.raises(PriemoError, match=reason):
        PoolPriEMO(None, verbose=False, **params)


def test_the_entry_is_fitted_like_scope_class() -> None:
    pool, plain = (registry.get("attacks", name) for name in ("priemo-pool", "priemo-class"))
    assert pool.traits == plain.traits
    assert pool.traits.is_fitted
