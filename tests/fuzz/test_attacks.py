"""Parameters of every attack, and what its images are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from priemo_bench import registry
from priemo_bench.contracts.attack import make_attack
from priemo_bench.testing import toy_classifier, toy_faces

X, Y = toy_faces(3, size=16)
QUICK = ("nothing", "noise", "blur", "pixelate", "jpeg", "down-up", "brightness-contrast",
         "occlude", "aes-ctr", "cat-map", "etc", "fgsm", "priemo-image")  # fmt: skip
"""Attacks that generate in a few milliseconds."""


def slow(few: int, many: int) -> Any:
    """How many inputs, in CI and in the slow run."""
    return pytest.mark.parametrize("amount", [few, pytest.param(many, marks=pytest.mark.slow)])


@pytest.fixture(scope="module")
def toy() -> Any:
    return toy_classifier(1, 16)


def _is_large(value: Any) -> bool:
    """Numbers of steps, restarts or members that would be taken for what they say."""
    return isinstance(value, int | float) and abs(value) > 300


@slow(40, 7_000)
@pytest.mark.filterwarnings("ignore")
def test_parameters(fuzz: Any, inputs: Any, amount: int, toy: Any) -> None:
    names = registry.names("attacks")
    known = {
        name: sorted({*getattr(_made(name, toy), "attack_params", ()), "norm", "max_iter", "steps"}
                     - {"summary_writer", "verbose", "surrogates"})
        for name in names
    }  # fmt: skip

    @st.composite
    def calls(draw: st.DrawFn) -> tuple[str, dict[str, Any], bool]:
        name = draw(st.sampled_from(names))
        keys = st.lists(st.sampled_from(known[name]), min_size=1, max_size=2)
        return name, {key: draw(inputs.values) for key in draw(keys)}, draw(st.booleans())

    def attempt(call: tuple[str, dict[str, Any], bool]) -> None:
        name, params, targeted = call
        entry = registry.get("attacks", name)
        attack = make_attack(
            entry, _classifiers(entry, toy), params, 0, targeted and entry.traits.targeted
        )
        if name in QUICK and not any(map(_is_large, params.values())):
            found = attack.generate(X, Y)
            assert found.shape == X.shape
            assert np.isfinite(found).all()

    fuzz(calls(), attempt, amount)


def _classifiers(entry: Any, toy: Any) -> list[Any]:
    return [] if entry.traits.surrogates == "none" else [toy]


def _made(name: str, toy: Any) -> Any:
    entry = registry.get("attacks", name)
    return make_attack(entry, _classifiers(entry, toy), {})


IMAGES: dict[str, Any] = {
    "x": X, "one": X[:1], "rank 3": X[0], "narrow": X[..., :5], "doubled": X * 2, "negative": X - 1,
    "nan": X * np.nan, "empty": X[:0], "mirrored": X[:, :, ::-1], "double": X.astype("f8"),
    "half": X.astype("f2"), "big-endian": X.astype(">f4"), "objects": X.astype("O"),
    "bytes": (X * 255).astype("u1"), "rgb": X.repeat(3, 1), "two": X.repeat(2, 1),
    "list": X.tolist(), "masked": np.ma.masked_array(X), "none": None,
    "broadcast": np.broadcast_to(X[:1], X.shape),
}  # fmt: skip
LABELS: dict[str, Any] = {
    "y": Y, "one": Y[:1], "floats": Y.astype(float), "halves": Y + 0.5, "columns": Y[:, None],
    "one-hot": np.eye(7)[Y], "sevens": Y * 0 + 7, "minus": Y * 0 - 1, "nan": Y * np.nan,
    "text": Y.astype(str), "bytes": Y.astype("u1"), "empty": [], "ragged": [0, [1]], "none": None,
}  # fmt: skip
MASKS: dict[str, Any] = {
    "none": None, "zeros": X[0] * 0, "ones": np.ones((16, 16)), "nan": X * np.nan, "text": "x",
    "narrow": X[..., :3],
}  # fmt: skip


@slow(30, 4_000)
@pytest.mark.filterwarnings("ignore")
def test_images_and_labels(fuzz: Any, inputs: Any, amount: int, toy: Any) -> None:
    made = {name: _made(name, toy) for name in QUICK}

    def one_of(known: dict[str, Any]) -> Any:
        return st.one_of(st.sampled_from(list(known)), inputs.values)

    def attempt(call: tuple[str, Any, Any, Any]) -> None:
        name, *keys = call
        x, y, mask = (
            known.get(key, key) if isinstance(key, str) else key
            for known, key in zip((IMAGES, LABELS, MASKS), keys, strict=True)
        )
        found = made[name].generate(x, y, **({} if mask is None else {"mask": mask}))
        assert np.isfinite(found).all()

    calls = st.tuples(st.sampled_from(QUICK), one_of(IMAGES), one_of(LABELS), one_of(MASKS))
    fuzz(calls, attempt, amount)
