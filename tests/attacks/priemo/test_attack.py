"""PriEMO: its promises on every image in every scope, what is saved, and what is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from priemo_bench import attacks
from priemo_bench.attacks.priemo import ImagePriEMO, PriEMO, UniversalPriEMO
from priemo_bench.attacks.surrogate import Surrogate
from priemo_bench.contracts.image import publish
from priemo_bench.contracts.storage import save_tensors
from priemo_bench.contracts.victim import as_art, freeze
from priemo_bench.errors import PriemoError
from priemo_bench.quality.budget import Budget
from priemo_bench.run.profiling import PassCounter
from priemo_bench.testing import ToyVictim, toy_faces

SIDE, CLASSES = 16, 3
"""Of the faces and classifiers in conftest.py."""


def wrap(model: nn.Module, clip: tuple[float, float] = (0.0, 1.0)) -> PyTorchClassifier:
    return PyTorchClassifier(
        model, nn.CrossEntropyLoss(), (1, SIDE, SIDE), CLASSES, clip_values=clip, device_type="cpu"
    )


def make(classifier: Any, **values: Any) -> PriEMO:
    steps = 5 if values.get("scope") == "generator" else 25
    return PriEMO(classifier, **{"verbose": False, "random_state": 0, "steps": steps, **values})


BUDGETS = [
    {"ssim_floor": 0.97, "eps": 8 / 255},
    {"ssim_floor": 0.99, "eps": None},
    {"ssim_floor": None, "eps": 8 / 255},
    {"ssim_floor": None, "eps": 8 / 255, "psnr_floor": 38.0},
]


@pytest.mark.parametrize("bounds", BUDGETS)
@pytest.mark.parametrize("scope", ["image", "class", "universal", "generator"])
def test_every_published_image_keeps_both_bounds(
    classifier: Any, faces: np.ndarray, scope: str, bounds: dict[str, float | None]
) -> None:
    before = faces.copy()
    protected = make(classifier, scope=scope, **bounds).fit(faces).generate(faces)
    assert protected.shape == faces.shape
    assert protected.dtype == np.float32
    assert 0 <= protected.min() <= protected.max() <= 1
    assert Budget.of(**bounds).holds(publish(faces), publish(protected)).all()
    assert np.array_equal(faces, before)
    assert not np.array_equal(protected, faces)


@pytest.mark.parametrize(
    ("scope", "steps"), [("image", 1), ("class", 10), ("universal", 10), ("generator", 1)]
)
@pytest.mark.parametrize(
    ("channels", "side"), [(1, 48), pytest.param(3, 512, marks=pytest.mark.slow)]
)
def test_small_and_large_images(scope: str, steps: int, channels: int, side: int) -> None:
    x, _ = toy_faces(2, channels, side)
    classifier = as_art(freeze(ToyVictim()), channels, side)
    params = {"restarts": 0} if scope == "image" else {}
    protected = publish(make(classifier, scope=scope, steps=steps, **params).generate(x))
    assert Budget().holds(publish(x), protected).all()
    assert (protected != publish(x)).any((1, 2, 3)).all()


def test_universal_fools_held_out_faces_and_is_one_array(classifier: Any, faces: Any) -> None:
    attack = make(classifier, scope="universal", ssim_floor=None, eps=0.4).fit(faces[:15])
    assert attack.noise is not None
    assert attack.noise.shape == (1, 1, SIDE, SIDE)
    expected = np.clip(faces[15:] + attack.noise, 0, 1)
    assert np.allclose(attack.apply(faces[15:]), expected, atol=1 / 255)
    clean = classifier.predict(faces[15:]).argmax(1)
    assert (classifier.predict(attack.apply(faces[15:])).argmax(1) != clean).mean() > 0.5


@pytest.mark.parametrize(
    ("scope", "few", "many"),
    [("class", 450, 937), ("universal", 450, 937), ("generator", 100, 6250)],
)
def test_a_fit_costs_the_passes_that_are_documented(
    classifier: Any, faces: np.ndarray, scope: Any, few: int, many: int
) -> None:
    """Mini-batches on 30 faces and on 2,000 (of 32) by default; counted for 2 passes."""
    attack: Any = PriEMO(classifier, scope, verbose=False)
    assert attack._n_steps(len(faces)) == few
    assert attack._n_steps(2000) == many
    with PassCounter([classifier.model]) as cost:
        attack.set_params(steps=2)
        attack.fit(faces)
    assert cost.backwards == 2 * len(faces)


@pytest.mark.parametrize("scope", ["universal", "generator"])
def test_apply_computes_ssim_at_most_fifteen_times(
    classifier: Any, faces: np.ndarray, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attack = make(classifier, scope=scope, steps=1).fit(faces)
    calls, compute = [], Budget._spent

    def counted(self: Budget, *arguments: Any) -> Any:
        calls.append(self)
        return compute(self, *arguments)

    monkeypatch.setattr(Budget, "_spent", counted)
    attack.apply(faces)
    assert 1 <= len(calls) <= 15


def test_class_scope_takes_labels_or_predicts_them(classifier: Any, faces: np.ndarray) -> None:
    attack = make(classifier, scope="class", ssim_floor=0.95, eps=None).fit(faces)
    predicted = classifier.predict(faces).argmax(1)
    assert np.array_equal(attack.apply(faces), attack.apply(faces, predicted))
    assert not np.array_equal(
        attack.apply(faces, (predicted + 1) % CLASSES), attack.apply(faces, predicted)
    )


def test_features_of_several_layers_are_joined_normalised(model: Any) -> None:
    stack = wrap(nn.Sequential(model, nn.Tanh(), nn.Linear(CLASSES, CLASSES)))
    x = torch.rand(4, 1, SIDE, SIDE)
    first, second = (Surrogate(stack, name)(x)[0] for name in ("0", "1"))
    both, logits = Surrogate(stack, ("0", "1"))(x)
    normal = [f / f.norm(dim=1, keepdim=True) for f in (first, second)]
    assert torch.allclose(both, torch.cat(normal, 1), atol=1e-6)
    assert torch.allclose(logits, stack.model(x))
    with pytest.raises(PriemoError, match="no layer 'head'; it has 0"):
        Surrogate(stack, ("0", "head"))


def test_results_do_not_depend_on_the_batch_size(classifier: Any, faces: np.ndarray) -> None:
    y = classifier.predict(faces).argmax(1)
    results = [
        make(classifier, scope="image", batch_size=size).fit(faces).generate(faces, y)
        for size in (7, 30)
    ]
    assert (publish(results[0]) == publish(results[1])).mean() > 0.99


def test_equal_seeds_equal_perturbations(classifier: Any, faces: np.ndarray) -> None:
    state = torch.random.get_rng_state()
    noises = [make(classifier, scope="class", random_state=s).fit(faces).noise for s in (3, 3)]
    assert np.array_equal(*noises)  # type: ignore[arg-type]
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("scope", ["class", "universal", "generator", "image"])
def test_saved_and_loaded_is_the_same(
    classifier: Any, faces: np.ndarray, scope: str, tmp_path: Path
) -> None:
    path = tmp_path / "attack.safetensors"
    attack = make(classifier, scope=scope).fit(faces)
    attack.save(path)
    loaded = PriEMO.load(path, classifier, verbose=False)
    assert loaded.budget == attack.budget
    assert np.array_equal(loaded.generate(faces), attack.generate(faces))


@pytest.mark.parametrize("scope", ["universal", "generator"])
def test_a_universal_perturbation_needs_no_classifier(
    classifier: Any, faces: np.ndarray, scope: str, tmp_path: Path
) -> None:
    attack = make(classifier, scope=scope).fit(faces)
    attack.save(tmp_path / "u.safetensors")
    loaded = PriEMO.load(tmp_path / "u.safetensors")
    assert np.array_equal(loaded.apply(faces), attack.apply(faces))
    with pytest.raises(PriemoError, match="classifier"):
        loaded.fit(faces)


@pytest.mark.parametrize(
    ("scope", "params", "word"),
    [
        ("class", {"scope": "clas"}, "did you mean class"),
        ("class", {"loss": "hinge"}, "loss is 'hinge'; it must be one of feature, logit, both"),
        ("class", {"ssim_floor": None, "eps": None}, "all None"),
        ("class", {"ssim_floor": 1.0}, "ssim_floor"),
        ("class", {"eps": 8.0}, "eps"),
        ("class", {"steps": 0}, "steps"),
        ("class", {"batch_size": 2.5}, "batch_size"),
        ("image", {"restarts": -1}, "restarts"),
        ("image", {"momentum": 1.0}, "momentum"),
        ("image", {"steps": None}, "steps"),
        ("universal", {"sharpness": -1.0}, "sharpness"),
        ("generator", {"confidence": None}, "confidence"),
        ("generator", {"width": 12}, "width"),
        ("generator", {"bfloat16": 1}, "bfloat16"),
        ("class", {"delta": 2}, "delta"),
        ("class", {"diversity": 1.5}, "diversity"),
        ("class", {"targeted": 1}, "targeted"),
    ],
)
def test_bad_parameters_are_named(
    classifier: Any, scope: str, params: dict[str, Any], word: str
) -> None:
    with pytest.raises(PriemoError, match=word):
        make(classifier, **{"scope": scope, **params})
    valid = make(classifier, scope=scope)
    with pytest.raises(PriemoError, match=word):
        valid.set_params(**params)


@pytest.mark.parametrize(
    ("scope", "name", "where"),
    [
        ("class", "restarts", "image"),
        ("generator", "momentum", "image"),
        ("universal", "confidence", "generator, image"),
        ("image", "balance", "class, generator, universal"),
        ("generator", "diversity", "class, image, universal"),
    ],
)
def test_a_parameter_of_another_scope_is_refused(
    classifier: Any, scope: Any, name: str, where: str
) -> None:
    sentence = f"^{name} does not act in scope {scope}; it does in {where}$"
    with pytest.raises(PriemoError, match=sentence):
        PriEMO(classifier, scope, **{name: 0})
    with pytest.raises(PriemoError, match="did you mean restarts"):
        PriEMO(classifier, "image", restart=0)
    with pytest.raises(ValueError, match=name):
        PriEMO(classifier, scope).set_params(**{name: 0})


def test_the_front_makes_the_class_of_the_scope(classifier: Any) -> None:
    assert set(attacks.__all__) == set(attacks._HOME)
    for name in attacks.__all__:
        assert getattr(attacks, name).__name__ == name
    made = PriEMO(classifier)
    assert type(made).__name__ == "ClassPriEMO"
    assert isinstance(PriEMO(classifier, "image"), ImagePriEMO)
    assert ImagePriEMO(classifier, "image").scope == ImagePriEMO(classifier).scope == "image"
    with pytest.raises(
        PriemoError, match="UniversalPriEMO has scope 'universal', not 'image'; use ImagePriEMO"
    ):
        UniversalPriEMO(classifier, "image")
    with pytest.raises(PriemoError, match="ClassPriEMO has scope 'class'"):
        made.set_params(scope="image")
    with pytest.raises(TypeError, match="positional"):
        PriEMO(classifier, "image", True)  # type: ignore[misc]
    copied = copy.deepcopy(PriEMO(None, "generator"))
    assert type(copied).__name__ == "GeneratorPriEMO"


def test_bad_inputs_are_named(classifier: Any, model: Any, faces: np.ndarray) -> None:
    with pytest.raises(PriemoError, match="targets"):
        make(classifier, scope="image", targeted=True).generate(faces)
    with pytest.raises(PriemoError, match="one target"):
        make(classifier, scope="universal", targeted=True).fit(faces, np.arange(30) % 3)
    with pytest.raises(PriemoError, match="uint8"):
        make(classifier).fit(publish(faces))
    with pytest.raises(PriemoError, match="labels from 0 to 2"):
        make(classifier).fit(faces, np.full(30, 9))
    with pytest.raises(PriemoError, match="fitted"):
        make(classifier).apply(faces)
    with pytest.raises(PriemoError, match="clip_values"):
        make(wrap(model, (0.0, 255.0))).fit(faces)
    with pytest.raises(PriemoError, match="no layer"):
        make(classifier, layer="fc9").fit(faces)
    two = faces[classifier.predict(faces).argmax(1) != 2]
    with pytest.raises(PriemoError, match="predicted as class 2"):
        make(classifier, scope="image", targeted=True).fit(two, np.full(len(two), 2))


def test_other_files_are_refused(classifier: Any, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"not safetensors")
    with pytest.raises(PriemoError, match="cannot be read"):
        PriEMO.load(tmp_path / "x", classifier)


def test_files_of_other_surrogates_scopes_and_versions_are_refused(
    classifier: Any, model: Any, faces: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "image.safetensors"
    make(classifier, scope="image").fit(faces).save(path)
    with pytest.raises(PriemoError, match="fitted with 1 surrogates, but 2"):
        PriEMO.load(path, classifier, surrogates=(wrap(model),))
    with pytest.raises(PriemoError, match="UniversalPriEMO has scope 'universal'"):
        UniversalPriEMO.load(path, classifier)
    save_tensors(path, {"u": faces}, {"format": "priemo-3"})
    with pytest.raises(PriemoError, match=r"PriEMO\.save of this version"):
        PriEMO.load(path, classifier)
    with pytest.raises(PriemoError, match="nothing to save"):
        make(classifier).save(path)
