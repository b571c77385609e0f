"""Files of fitted attacks: whatever is in one, `load` takes it or says in one sentence why not."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from art.estimators.classification import PyTorchClassifier

from priemo_bench.attacks.art_universal import ArtUniversal
from priemo_bench.attacks.base import LATER_PARAMS, FittedAttack
from priemo_bench.attacks.priemo import PriEMO
from priemo_bench.attacks.priemo.generator import ADDED
from priemo_bench.attacks.priemo.pool import PoolPriEMO
from priemo_bench.attacks.universal import UniversalAttack
from priemo_bench.attacks.universal.gap import GAP
from priemo_bench.contracts.storage import Tensors, load_tensors, save_tensors
from priemo_bench.contracts.victim import as_art
from priemo_bench.errors import PriemoError
from priemo_bench.testing import ToyVictim, toy_faces

pytestmark = pytest.mark.filterwarnings("ignore:.* images came back unchanged")
SIDE = 16
X, Y = toy_faces(14, channels=1, size=SIDE)
QUIET: dict[str, Any] = {"random_state": 0, "verbose": False}
ATTACKS: dict[str, Callable[[PyTorchClassifier], FittedAttack]] = {
    "sga": lambda c: UniversalAttack(c, "sga", passes=2, random_state=0),
    "sga-class": lambda c: UniversalAttack(c, "sga", "class", passes=2, random_state=0),
    "uap": lambda c: ArtUniversal(c, "fgsm", max_iter=1, random_state=0),
    "gap": lambda c: GAP(c, passes=1, random_state=0),
    "image": lambda c: PriEMO(c, "image", steps=2, restarts=0, **QUIET),
    "whitened": lambda c: PriEMO(c, "image", steps=2, restarts=0, distance="whitened", **QUIET),
    "class": lambda c: PriEMO(c, "class", steps=1, **QUIET),
    "pool": lambda c: PoolPriEMO(c, members=2, steps=1, **QUIET),
    "keyed": lambda c: PoolPriEMO(
        c, members=2, steps=1, key="0123456789abcdef", save_key=True, **QUIET
    ),
    "universal": lambda c: PriEMO(c, "universal", steps=1, ssim_floor=None, **QUIET),
    "generator": lambda c: PriEMO(c, "generator", steps=1, **QUIET),
}
JUNK: tuple[object, ...] = (
    None, True, -1, 0, 3, 10**400, 0.5, -0.5, 1e308, "", "x", "class", [], [1], {}, {"a": [None]},
)  # fmt: skip


@pytest.fixture(scope="module")
def toy() -> PyTorchClassifier:
    return as_art(ToyVictim(), 1, SIDE)


@pytest.fixture(scope="module", params=ATTACKS)
def saved(
    request: pytest.FixtureRequest, toy: PyTorchClassifier, tmp_path_factory: pytest.TempPathFactory
) -> tuple[type[FittedAttack], Path]:
    """The class of an attack, and a file of it."""
    attack = ATTACKS[request.param](toy).fit(X, Y)  # type: ignore[attr-defined]
    path = tmp_path_factory.mktemp("saved") / "attack.safetensors"
    attack.save(path)
    return PriEMO if attack._saved_class == "PriEMO" else type(attack), path


def use(cls: type[FittedAttack], path: Path, toy: PyTorchClassifier) -> None:
    """Load with a classifier and without, and apply: PriemoError, or images within eps."""
    for classifier in (None, toy):
        try:
            attack = cls.load(path, classifier)
            protected = attack.generate(X, Y)
        except PriemoError as error:
            problem = str(error)
        else:
            problem = ""
            assert np.isfinite(protected).all()
            if attack.eps is not None:
                assert np.abs(protected - X).max() <= attack.eps + 1e-5
        assert "\n" not in problem


def rewrite(source: Path, path: Path, change: Callable[[Tensors, dict[str, str]], None]) -> None:
    tensors, metadata = load_tensors(source)
    change(tensors, metadata)
    save_tensors(path, tensors, metadata)


def test_whatever_byte_is_wrong(
    saved: tuple[type[FittedAttack], Path], toy: PyTorchClassifier, tmp_path: Path
) -> None:
    cls, source = saved
    whole, rng = source.read_bytes(), np.random.default_rng(0)
    header = 8 + struct.unpack("<Q", whole[:8])[0]
    for k in range(40):
        damaged = bytearray(whole)
        for place in rng.integers(0, header if k % 3 else len(whole), rng.integers(1, 4)):
            damaged[place] = rng.integers(0, 256)
        path = tmp_path / "damaged.safetensors"
        path.write_bytes(damaged[: rng.integers(len(damaged))] if k % 10 == 0 else damaged)
        use(cls, path, toy)


def test_whatever_setting_is_wrong(
    saved: tuple[type[FittedAttack], Path], toy: PyTorchClassifier, tmp_path: Path
) -> None:
    cls, source = saved
    path = tmp_path / "damaged.safetensors"
    names = list(json.loads(load_tensors(source)[1]["settings"]))
    for k, name in enumerate(names):
        for value in JUNK[k % 3 :: 3]:
            if name in {"steps", "restarts"} and value == 10**400:
                continue  # a whole number, but for ever

            def change(tensors: Tensors, metadata: dict[str, str]) -> None:
                settings = {**json.loads(metadata["settings"]), name: value}  # noqa: B023
                metadata["settings"] = json.dumps(settings)

            rewrite(source, path, change)
            use(cls, path, toy)

        if name in {**LATER_PARAMS, **ADDED}:
            continue  # a file of an earlier version

        def drop(tensors: Tensors, metadata: dict[str, str]) -> None:
            settings = json.loads(metadata["settings"])
            del settings[name]  # noqa: B023
            metadata["settings"] = json.dumps(settings)

        rewrite(source, path, drop)
        with pytest.raises(PriemoError, match=f"lacks '{name}'|does not act in scope"):
            cls.load(path, toy)


def test_a_generator_of_an_earlier_version(toy: PyTorchClassifier, tmp_path: Path) -> None:
    attack = ATTACKS["generator"](toy).fit(X, Y)  # type: ignore[attr-defined]
    attack.save(tmp_path / "new")

    def change(tensors: Tensors, metadata: dict[str, str]) -> None:
        settings = json.loads(metadata["settings"])
        kept = {name: value for name, value in settings.items() if name not in ADDED}
        metadata["settings"] = json.dumps(kept)

    rewrite(tmp_path / "new", tmp_path / "old", change)
    np.testing.assert_array_equal(PriEMO.load(tmp_path / "old").apply(X), attack.apply(X))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '{"eps": NaN}', "{}", "[" * 9999])
def test_settings_that_are_no_table(
    saved: tuple[type[FittedAttack], Path], text: str, tmp_path: Path
) -> None:
    cls, source = saved
    path = tmp_path / "damaged.safetensors"
    rewrite(source, path, lambda _, metadata: metadata.update(settings=text))
    with pytest.raises(PriemoError, match="is damaged"):
        cls.load(path)


@pytest.mark.parametrize("key", ["format", "attack", "emotions", "image", "settings"])
def test_metadata_that_lacks_a_key(
    saved: tuple[type[FittedAttack], Path], key: str, tmp_path: Path
) -> None:
    cls, source = saved
    path = tmp_path / "damaged.safetensors"
    rewrite(source, path, lambda _, metadata: metadata.pop(key))  # type: ignore[arg-type,return-value]
    with pytest.raises(PriemoError, match=r"is damaged|was not written by"):
        cls.load(path)


def test_whatever_array_is_wrong(
    saved: tuple[type[FittedAttack], Path], toy: PyTorchClassifier, tmp_path: Path
) -> None:
    cls, source = saved
    path = tmp_path / "damaged.safetensors"
    for name, value in list(load_tensors(source)[0].items())[:8]:
        for wrong in (
            np.full_like(value, np.nan) if value.dtype.kind == "f" else value.astype(np.int8),
            value.astype(np.float64), value[..., None], value[None], value.ravel()[:0],
            np.full_like(value, 1e30) if value.dtype.kind == "f" else ~value, None,
        ):  # fmt: skip

            def change(tensors: Tensors, metadata: dict[str, str]) -> None:
                del tensors[name]  # noqa: B023
                if wrong is not None:  # noqa: B023
                    tensors[name] = wrong  # noqa: B023

            rewrite(source, path, change)
            use(cls, path, toy)


@pytest.mark.parametrize("image", ["", "x", "1x16", "1x16x16x1", "2x16x16", "1x0x16", "1x9999x16",
                                   "-1x16x16", "1x16x15"])  # fmt: skip
def test_an_image_shape_that_is_wrong(
    saved: tuple[type[FittedAttack], Path], image: str, toy: PyTorchClassifier, tmp_path: Path
) -> None:
    cls, source = saved
    path = tmp_path / "damaged.safetensors"
    rewrite(source, path, lambda _, metadata: metadata.update(image=image))
    use(cls, path, toy)


def test_what_was_saved_is_taken(
    saved: tuple[type[FittedAttack], Path], toy: PyTorchClassifier, tmp_path: Path
) -> None:
    cls, source = saved
    path = tmp_path / "again.safetensors"
    rewrite(source, path, lambda tensors, metadata: None)
    for one in (source, path):
        assert cls.load(one, toy).generate(X, Y).shape == X.shape


@pytest.mark.parametrize("value", [0.9, 1e30, -0.1, np.inf, np.nan])
def test_a_perturbation_beyond_its_eps_is_refused(
    value: float, toy: PyTorchClassifier, tmp_path: Path
) -> None:
    path = tmp_path / "sga.safetensors"
    ATTACKS["sga"](toy).fit(X, Y).save(path)  # type: ignore[attr-defined]

    def change(tensors: Tensors, metadata: dict[str, str]) -> None:
        tensors["noise"][0, 0, 3, 5] = value

    rewrite(path, path, change)
    with pytest.raises(PriemoError, match=r"more than its eps|not finite"):
        UniversalAttack.load(path)


def test_a_perturbation_beyond_a_smaller_eps_is_refused(
    toy: PyTorchClassifier, tmp_path: Path
) -> None:
    path = tmp_path / "sga.safetensors"
    ATTACKS["sga"](toy).fit(X, Y).save(path)  # type: ignore[attr-defined]
    with pytest.raises(PriemoError, match="more than its eps"):
        UniversalAttack.load(path, eps=1e-4)


def test_a_file_of_another_class_is_refused(
    saved: tuple[type[FittedAttack], Path],
) -> None:
    cls, path = saved
    for other in {PriEMO, GAP, UniversalAttack, ArtUniversal} - {cls}:
        with pytest.raises(PriemoError, match="was not written by"):
            other.load(path)
