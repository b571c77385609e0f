"""UniversalAttack: scopes, goals, surrogates, files, bad arguments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier

from priemo_bench.attacks.surrogate import Surrogate
from priemo_bench.attacks.universal import METHODS, TARGETED_METHODS, UniversalAttack
from priemo_bench.attacks.universal.opom import project_onto_hull
from priemo_bench.errors import PriemoError

EPS = 6 / 255


def signs(x: np.ndarray, n: int = 20) -> np.ndarray:
    """Random perturbations of plus or minus 0.1, (n, 1, c, h, w)."""
    return np.random.default_rng(0).choice([-0.1, 0.1], (n, 1, *x.shape[1:])).astype(np.float32)


@pytest.mark.parametrize("method", [*TARGETED_METHODS, "cos-uap"])
def test_fools_more_of_its_fit_faces_than_random_signs(
    method: str, classifier: PyTorchClassifier, x: np.ndarray
) -> None:
    attack = UniversalAttack(classifier, method, eps=0.1, passes=20, random_state=0).fit(x)
    clean = classifier.predict(x).argmax(1)
    rates = [(classifier.predict(np.clip(x + d, 0, 1)).argmax(1) != clean).mean() for d in signs(x)]
    assert attack.fooling_rate is not None
    assert attack.fooling_rate > np.mean(rates)


@pytest.mark.parametrize("method", ["fi-uap", "opom"])
def test_moves_features_further_than_random_signs(
    method: str, classifier: PyTorchClassifier, x: np.ndarray
) -> None:
    surrogate = Surrogate(classifier)

    def moved(noise: np.ndarray) -> float:
        with torch.no_grad():
            pair = [
                surrogate(torch.from_numpy(np.clip(x + d, 0, 1)))[0] for d in (0 * noise, noise)
            ]
        before, after = (torch.nn.functional.normalize(f) for f in pair)
        there = project_onto_hull(after, before) if method == "opom" else before
        return float((after - there).square().sum(1).mean())

    noise = UniversalAttack(classifier, method, eps=0.1, passes=20, random_state=0).fit(x).noise
    assert noise is not None
    assert moved(noise) > max(moved(d) for d in signs(x))


def test_scope_class_has_a_perturbation_for_each_emotion_there_is(
    classifier: PyTorchClassifier, x: np.ndarray
) -> None:
    y = np.array([0, 0, 2, 2, 5, 5])
    attack = UniversalAttack(classifier, "sga", "class", EPS, passes=8, random_state=0).fit(x, y)
    noise = attack.noise
    assert noise is not None
    assert noise.shape == (7, *x.shape[1:])
    assert [bool(n.any()) for n in noise] == [k in y for k in range(7)]
    np.testing.assert_array_equal(attack.apply(x, y), np.clip(x + noise[y], 0, 1))
    clean = classifier.predict(x).argmax(1)
    np.testing.assert_array_equal(attack.apply(x), np.clip(x + noise[clean], 0, 1))
    for k in (0, 2, 5):
        rows = y == k
        own = UniversalAttack(classifier, "df-uap", "universal", EPS, passes=8, random_state=0)
        both = UniversalAttack(classifier, "df-uap", "class", EPS, passes=8, random_state=0)
        alone = own.fit(x[rows], y[rows]).noise
        together = both.fit(x[rows], y[rows]).noise
        assert alone is not None
        assert together is not None
        np.testing.assert_array_equal(alone[0], together[k])


def test_rarest_goes_to_the_label_that_is_rarest(
    linear: PyTorchClassifier, linear_x: np.ndarray, optimum: np.ndarray
) -> None:
    labels = np.array([0, 0, 0, 0, 0, 2, 2, 1])
    attack = UniversalAttack(linear, "df-uap", eps=EPS, goal="rarest", passes=48, random_state=0)
    noise = attack.fit(linear_x, labels).noise
    assert noise is not None
    np.testing.assert_allclose(noise[0], EPS * optimum, atol=1e-6)


def test_surrogates_are_averaged(linear: PyTorchClassifier, linear_x: np.ndarray) -> None:
    """The same network twice is the network once."""
    y = np.zeros(len(linear_x), int)
    one = UniversalAttack(linear, "df-uap", eps=EPS, passes=5, random_state=0).fit(linear_x, y)
    two = UniversalAttack(
        linear, "df-uap", eps=EPS, surrogates=(linear,), passes=5, random_state=0
    ).fit(linear_x, y)
    np.testing.assert_allclose(one.noise, two.noise, atol=1e-6)


def test_passes_are_what_is_spent(classifier: PyTorchClassifier, x: np.ndarray) -> None:
    """20 passes backward over the fit faces, for every method that uses faces."""
    from priemo_bench.run.profiling import PassCounter

    for method in set(METHODS) - {"gd-uap"}:
        with PassCounter([classifier.model]) as passes:
            UniversalAttack(classifier, method, passes=20, random_state=0).fit(x)
        assert passes.backwards == 20 * len(x), method


@pytest.mark.parametrize("scope", ["universal", "class"])
def test_saved_and_loaded(
    scope: str, classifier: PyTorchClassifier, x: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "noise.safetensors"
    attack = UniversalAttack(
        classifier,
        "sga",
        scope,
        EPS,
        passes=4,
        random_state=0,  # type: ignore[arg-type]
    )
    y = np.arange(len(x)) % 7
    attack.fit(x, y).save(path)
    for where in (None, classifier):
        again = UniversalAttack.load(path, where)
        np.testing.assert_array_equal(again.apply(x, y), attack.apply(x, y))
        assert (again.method, again.scope, again.eps) == ("sga", scope, EPS)
    if scope == "class":
        with pytest.raises(PriemoError, match="needs a classifier"):
            UniversalAttack.load(path).apply(x)


def test_loaded_with_further_surrogates(
    classifier: PyTorchClassifier, x: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "noise.safetensors"
    attack = UniversalAttack(
        classifier, "sga", "class", surrogates=(classifier,), passes=4, random_state=0
    )
    attack.fit(x).save(path)
    again = UniversalAttack.load(path, classifier, surrogates=(classifier,))
    assert again.surrogates == (classifier,)
    np.testing.assert_array_equal(again.apply(x), attack.apply(x))


def test_bad_arguments_are_named(classifier: PyTorchClassifier, x: np.ndarray) -> None:
    with pytest.raises(PriemoError, match="did you mean sga"):
        UniversalAttack(classifier, "sgaa")
    for bad in ({"scope": "image"}, {"goal": "x"}, {"passes": 0}, {"batch_size": 0}, {"delta": 2}):
        with pytest.raises(PriemoError, match=next(iter(bad))):
            UniversalAttack(classifier, **bad)  # type: ignore[arg-type]
    for method in set(METHODS) - set(TARGETED_METHODS):
        with pytest.raises(PriemoError, match="cannot be targeted"):
            UniversalAttack(classifier, method, targeted=True)
    with pytest.raises(PriemoError, match="one target only"):
        UniversalAttack(classifier, targeted=True).fit(x, np.arange(len(x)) % 7)
    with pytest.raises(PriemoError, match="no layer 'nowhere'"):
        UniversalAttack(classifier, layer="nowhere").fit(x)
