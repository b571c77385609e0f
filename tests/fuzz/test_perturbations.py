"""Saved perturbations: their metadata, their arrays, their bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from priemo_bench import registry
from priemo_bench.contracts.storage import load_tensors, save_tensors
from priemo_bench.contracts.victim import as_art
from priemo_bench.testing import ToyVictim, toy_faces

X, Y = toy_faces(7, size=16)
FITTED = {
    "sga": {"passes": 1}, "sga-class": {"passes": 1}, "uap-fgsm": {"max_iter": 1},
    "gap": {"passes": 1}, "priemo-class": {"steps": 1}, "priemo-universal": {"steps": 1},
    "priemo-pool": {"steps": 1, "members": 2}, "priemo-generator": {"steps": 1},
}  # fmt: skip


def slow(few: int, many: int) -> Any:
    """How many inputs, in CI and in the slow run."""
    return pytest.mark.parametrize("amount", [few, pytest.param(many, marks=pytest.mark.slow)])


@pytest.fixture(scope="module")
def toy() -> Any:
    return as_art(ToyVictim(), 1, 16)


@pytest.fixture(scope="module")
def saved(toy: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of each attack that can be saved."""
    folder, found = tmp_path_factory.mktemp("saved"), {}
    for name, params in FITTED.items():
        attack = registry.get("attacks", name)(toy, random_state=0, **params)
        attack.fit(X, Y).save(folder / f"{name}.safetensors")
        found[name] = folder / f"{name}.safetensors"
    return found


def use(name: str, path: Path, toy: Any) -> None:
    """Load with a classifier and without, and apply: images within eps."""
    for classifier in (None, toy):
        attack = registry.get("attacks", name).load(path, classifier)
        protected = attack.generate(X, Y)
        assert protected.shape == X.shape
        assert np.isfinite(protected).all()
        assert 0 <= protected.min() <= protected.max() <= 1
        if attack.eps is not None:
            assert np.abs(protected - X).max() <= attack.eps + 1e-5


def arrays(draw: st.DrawFn, array: Any) -> Any:
    """Other values, of another type or shape."""
    how = draw(st.sampled_from(["value", "scale", "type", "shape", "empty", "nan"]))
    if how == "value" and array.size:
        new = array.copy()
        new.flat[draw(st.integers(0, array.size - 1))] = draw(
            st.sampled_from([0, 1, 100] if array.dtype.kind in "iu" else [0.9, -0.9, 1e30, np.inf])
        )
        return new
    if how == "scale":
        return array * draw(st.sampled_from([2, -1, 0, 100])).__int__()
    if how == "type":
        return array.astype(draw(st.sampled_from(["f8", "f2", "i4", "u1", "?"])))
    if how == "shape":
        return array[draw(st.sampled_from([np.s_[None], np.s_[..., None], np.s_[:0], np.s_[:1]]))]
    return np.zeros(0, array.dtype) if how == "empty" else np.full(array.shape, np.nan, "f4")


@slow(30, 5_000)
def test_settings(fuzz: Any, inputs: Any, amount: int, saved: Any, toy: Any) -> None:
    whole = {name: load_tensors(path) for name, path in saved.items()}
    settings = {n: json.loads(metadata["settings"]) for n, (_, metadata) in whole.items()}
    small = st.one_of(inputs.names, inputs.values.filter(lambda v: not _is_large(v)))

    def attempt(pair: tuple[str, Any]) -> None:
        name, own = pair
        tensors, metadata = whole[name]
        path = fuzz.folder / "f.safetensors"
        text = json.dumps(own)
        save_tensors(path, tensors, {**metadata, "settings": text})
        use(name, path, toy)

    each = [st.tuples(st.just(n), inputs.changed(own, small, 1)) for n, own in settings.items()]
    fuzz(st.one_of(each), attempt, amount)


def _is_large(value: Any) -> bool:
    """Numbers of steps, members or restarts that would be taken for what they say."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 300


@slow(30, 4_000)
def test_metadata_and_arrays(fuzz: Any, inputs: Any, amount: int, saved: Any, toy: Any) -> None:
    whole = {name: load_tensors(path) for name, path in saved.items()}
    texts = inputs.names.map(lambda text: text.encode("utf-8", "replace").decode())

    @st.composite
    def damaged(draw: st.DrawFn) -> tuple[str, Any, dict[str, str]]:
        name = draw(st.sampled_from(sorted(whole)))
        tensors, metadata = (dict(part) for part in whole[name])
        if draw(st.booleans()):
            key = draw(st.sampled_from(sorted(metadata)))
            metadata[key] = draw(texts)
        else:
            key = draw(st.sampled_from(sorted(tensors)))
            tensors[key] = np.asarray(arrays(draw, tensors[key]))
        return name, tensors, metadata

    def attempt(item: tuple[str, Any, dict[str, str]]) -> None:
        name, tensors, metadata = item
        save_tensors(fuzz.folder / "f.safetensors", tensors, metadata)
        use(name, fuzz.folder / "f.safetensors", toy)

    fuzz(damaged(), attempt, amount)


@slow(30, 4_000)
def test_bytes(fuzz: Any, inputs: Any, amount: int, saved: Any, toy: Any) -> None:
    _of_bytes(fuzz, inputs, amount, saved, lambda name, path: use(name, path, toy))


def _of_bytes(
    fuzz: Any, inputs: Any, amount: int, saved: Any, attempt: Callable[[str, Path], None]
) -> None:
    path = fuzz.folder / "f.safetensors"

    def tried(pair: tuple[str, bytes]) -> None:
        path.write_bytes(pair[1])
        attempt(pair[0], path)

    each = [st.tuples(st.just(n), inputs.damaged(own.read_bytes())) for n, own in saved.items()]
    fuzz(st.one_of(each), tried, amount)
