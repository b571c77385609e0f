"""ART's universal attacks: closed-form optimum, and fit, apply, save, load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from art.attacks.evasion import UniversalPerturbation
from art.estimators.classification import PyTorchClassifier
from safetensors.numpy import save_file

from priemo_bench.attacks.art_universal import ArtUniversal
from priemo_bench.errors import PriemoError

EPS = 6 / 255


@pytest.mark.parametrize(
    ("params", "y"),
    [({"attacker": "pgd"}, 0), ({"attacker": "fgsm"}, 0),
     ({"attacker": "fgsm", "loss": "margin"}, 0), ({"attacker": "fgsm", "targeted": True}, 1)],
)  # fmt: skip
def test_linear_model_has_one_best_perturbation(
    params: dict[str, Any], y: int, linear: PyTorchClassifier, linear_x: np.ndarray,
    optimum: np.ndarray,
) -> None:  # fmt: skip
    attack = ArtUniversal(linear, eps=EPS, random_state=0, **params)
    attack.fit(linear_x, np.full(len(linear_x), y))
    np.testing.assert_allclose(attack.noise[0], EPS * optimum, atol=1e-3)
    assert attack.fooling_rate == 1


def test_deepfool_fools_the_linear_model(linear: PyTorchClassifier, linear_x: np.ndarray) -> None:
    attack = ArtUniversal(linear, eps=EPS, random_state=0).fit(linear_x)
    assert attack.fooling_rate == 1
    # Reached in the first of ten passes; ART itself would deny it if it were the last.
    assert attack.converged
    assert ArtUniversal(linear, eps=EPS, max_iter=1, random_state=0).fit(linear_x).converged


def test_arts_own_class_would_deny_the_last_pass(
    linear: PyTorchClassifier, linear_x: np.ndarray
) -> None:
    """The defect that `converged` works around; when this fails, ART has mended it."""
    own = UniversalPerturbation(linear, "fgsm", {"eps": EPS}, eps=EPS, max_iter=1, verbose=False)
    own.generate(linear_x)
    assert own.fooling_rate == 1
    assert not own.converged


def test_rarest_goes_to_the_label_that_is_rarest(
    linear: PyTorchClassifier, linear_x: np.ndarray, optimum: np.ndarray
) -> None:
    labels = np.array([0, 0, 0, 0, 0, 2, 2, 1])
    attack = ArtUniversal(linear, "fgsm", EPS, goal="rarest", random_state=0)
    np.testing.assert_allclose(attack.fit(linear_x, labels).noise[0], EPS * optimum, atol=1e-3)


def test_apply_adds_and_clips_on_any_faces(classifier: PyTorchClassifier, x: np.ndarray) -> None:
    attack = ArtUniversal(classifier, "fgsm", max_iter=1, random_state=0).fit(x[:4])
    np.testing.assert_array_equal(attack.apply(x), np.clip(x + attack.noise, 0, 1))
    np.testing.assert_array_equal(attack.generate(x[4:]), attack.apply(x[4:]))
    assert attack.noise.shape == (1, *x.shape[1:])


def test_n_fit_limits_the_fit_faces(classifier: PyTorchClassifier, x: np.ndarray) -> None:
    rows = np.random.default_rng(4).permutation(len(x))[:2]
    few = ArtUniversal(classifier, "fgsm", n_fit=2, max_iter=1, random_state=4).fit(x)
    alone = ArtUniversal(classifier, "fgsm", max_iter=1, random_state=4).fit(x[np.sort(rows)])
    assert few.fooling_rate in (0, 0.5, 1)
    assert alone.fooling_rate in (0, 0.5, 1)
    single = ArtUniversal(classifier, "fgsm", n_fit=1, max_iter=1, random_state=4).fit(x)
    assert single.fooling_rate in (0, 1)


def test_saved_and_loaded(classifier: PyTorchClassifier, x: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "noise.safetensors"
    attack = ArtUniversal(classifier, "fgsm", eps=0.05, max_iter=2, random_state=0).fit(x)
    attack.save(path)
    for where in (None, classifier):
        again = ArtUniversal.load(path, where)
        np.testing.assert_array_equal(again.apply(x), attack.apply(x))
        assert (again.eps, again.attacker, again.fooling_rate) == (
            0.05,
            "fgsm",
            attack.fooling_rate,
        )
    with pytest.raises(PriemoError, match="needs a classifier"):
        ArtUniversal.load(path).fit(x)


def test_files_that_are_no_perturbation(tmp_path: Path, classifier: PyTorchClassifier) -> None:
    path = tmp_path / "noise.safetensors"
    for write in (
        lambda: path.write_bytes(b"no safetensors"),
        lambda: save_file({"noise": np.zeros(1)}, path),
        lambda: save_file({"other": np.zeros(1)}, path),
        path.unlink,
    ):
        write()
        with pytest.raises(PriemoError, match=str(path)):
            ArtUniversal.load(path)
    with pytest.raises(PriemoError, match="nothing to save"):
        ArtUniversal(classifier).save(path)


def test_bad_arguments_are_named(classifier: PyTorchClassifier, x: np.ndarray) -> None:
    attack = ArtUniversal(classifier, "fgsm", targeted=True)
    with pytest.raises(PriemoError, match="one target only"):
        attack.fit(x, np.arange(len(x)))
    with pytest.raises(PriemoError, match=r"call fit\(\) first"):
        attack.apply(x)
    with pytest.raises(PriemoError, match="the perturbation is"):
        attack.fit(x, np.zeros(len(x), int)).apply(x[..., :16])
    with pytest.raises(PriemoError, match="UniversalPerturbation attacker is called 'deepfoll'"):
        ArtUniversal(classifier, "deepfoll")
    with pytest.raises(PriemoError, match="TargetedUniversalPerturbation attacker"):
        ArtUniversal(classifier, "pgd", targeted=True)
    with pytest.raises(PriemoError, match="parameter is called 'epsilonn'"):
        ArtUniversal(classifier, attacker_params={"epsilonn": 1})
    for bad in ({"delta": 2}, {"n_fit": 0}, {"max_iter": 0}, {"goal": "x"}, {"loss": "x"}):
        with pytest.raises(PriemoError, match=next(iter(bad))):
            ArtUniversal(classifier, **bad)  # type: ignore[arg-type]
