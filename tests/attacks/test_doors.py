"""What every attack takes and refuses: masks, keywords, tensors, parameters set later."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from priemo_bench import registry
from priemo_bench.attacks import PriEMO
from priemo_bench.attacks.torchattacks_adapter import TorchAttack
from priemo_bench.contracts.attack import make_attack
from priemo_bench.contracts.image import publish
from priemo_bench.contracts.victim import as_art, freeze
from priemo_bench.errors import PriemoError
from priemo_bench.quality.budget import Budget
from priemo_bench.testing import ToyVictim, toy_classifier, toy_faces

QUICK = {"loss": "logit", "steps": 3, "restarts": 0, "verbose": False}


@pytest.fixture(scope="module")
def classifier() -> Any:
    return toy_classifier()


def test_an_attack_shows_the_signature_of_its_constructor() -> None:
    shown = inspect.signature(PriEMO).parameters
    assert list(shown)[:2] == ["classifier", "scope"]
    assert shown["ssim_floor"].default == PriEMO.__init__.__kwdefaults__["ssim_floor"]


@pytest.mark.parametrize("name", sorted({*registry.names("attacks")} - {"nothing"}))
def test_an_unknown_parameter_is_named_with_what_is_known(name: str, classifier: Any) -> None:
    entry = registry.get("attacks", name)
    if getattr(entry, "attack", None) is TorchAttack:
        pytest.importorskip("torchattacks")
    where = [] if entry.traits.surrogates == "none" else [classifier]
    with pytest.raises(PriemoError, match=r"parameters? is called 'stepz'; (did you|known: )"):
        make_attack(entry, where, {"stepz": 5})


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("priemo-image", QUICK),
        ("priemo-class", {"steps": 2, "verbose": False}),
        ("priemo-generator", {"steps": 2, "verbose": False}),
        ("pgd", {}),
        ("sga", {"passes": 2}),
    ],
)
def test_one_colour_photo_as_it_is_read(name: str, params: dict[str, Any]) -> None:
    """An array (h, w, 3) with its axes moved: one image whose planes are not contiguous."""
    entry, (x, y) = registry.get("attacks", name), toy_faces(14, channels=3)
    attack = make_attack(entry, [toy_classifier(3)], params)
    if entry.traits.is_fitted:
        attack.fit(x, y)
    read = np.ascontiguousarray(x[:1].transpose(0, 2, 3, 1))
    photo = read.transpose(0, 3, 1, 2)
    assert not photo.flags.c_contiguous
    np.testing.assert_allclose(
        attack.generate(photo, y[:1]), attack.generate(x[:1].copy(), y[:1]), atol=1 / 255 + 1e-6
    )


@pytest.mark.parametrize("name", ["priemo-image", "pgd", "fgsm", "ddn", "sga", "noise", "blur"])
def test_a_mask_is_honoured(classifier: Any, name: str) -> None:
    entry = registry.get("attacks", name)
    x, y = toy_faces(14)
    mask = np.zeros((1, 1, 1, x.shape[3]), np.float32)
    mask[..., :16] = 1
    params = QUICK if name == "priemo-image" else {}
    used = [] if entry.traits.surrogates == "none" else [classifier]
    change = make_attack(entry, used, params).generate(x, y, mask=mask) - x
    assert np.abs(change[..., 16:]).max() == 0
    assert np.abs(change[..., :16]).max() > 0


def test_a_masked_image_keeps_its_budget(classifier: Any) -> None:
    x, y = toy_faces(14)
    mask = np.zeros(x.shape[1:], np.float32)
    mask[:, 8:24, 8:24] = 1
    found = PriEMO(classifier, "image", **QUICK).generate(x, y, mask=mask)
    assert Budget(0.997, 8 / 255).holds(publish(x), publish(found)).all()


@pytest.mark.parametrize("name", ["priemo-image", "pgd", "sga", "blur"])
def test_an_unknown_keyword_is_refused(classifier: Any, name: str) -> None:
    entry = registry.get("attacks", name)
    used = [] if entry.traits.surrogates == "none" else [classifier]
    x, y = toy_faces(7)
    attack = make_attack(entry, used, QUICK if name == "priemo-image" else {})
    with pytest.raises(PriemoError, match="labels"):
        attack.generate(x, labels=y)
    with pytest.raises(PriemoError, match="mask is a ndarray of shape"):
        attack.generate(x, y, mask=np.ones(5))


def test_tensors_views_and_no_grad(classifier: Any) -> None:
    x, y = toy_faces(7)
    attack = PriEMO(classifier, "image", **QUICK)
    expected = attack.generate(x, y)
    with torch.no_grad():
        found = attack.generate(torch.tensor(x, requires_grad=True), torch.tensor(y))
    np.testing.assert_array_equal(found, expected)
    turned = np.ascontiguousarray(x[..., ::-1])
    np.testing.assert_array_equal(attack.generate(turned[..., ::-1], y), expected)


def test_one_photo_is_protected_as_in_a_batch(classifier: Any) -> None:
    x, y = toy_faces(7)
    attack = PriEMO(classifier, "image", **QUICK)
    batch = attack.generate(x, y)
    np.testing.assert_array_equal(attack.generate(x[3:4], y[3:4]), batch[3:4])


def test_an_embedded_victim_has_feature_vectors_for_one_photo() -> None:
    classifier = as_art(registry.get("victims", "resnet")(), 3, 112)
    from priemo_bench.data.rendered import Rendered

    face = Rendered(None, None).split("test").images[:1].astype(np.float32) / 255
    attack = PriEMO(classifier, "image", verbose=False)
    found = attack.generate(face)
    assert attack._objective is not None
    assert all(vectors.present.all() for vectors in attack._objective.vectors)
    assert classifier.predict(found).argmax() != classifier.predict(face).argmax()


@pytest.mark.parametrize("scope", ["image", "universal"])
def test_set_params_after_a_call_takes_effect(classifier: Any, scope: str) -> None:
    x, _ = toy_faces(14)
    y = np.full(len(x), 3)
    params: dict[str, Any] = {"verbose": False, "random_state": 0, "steps": 5}
    used = PriEMO(classifier, scope, loss="logit", **params)
    used.generate(x)
    used.set_params(targeted=True)
    fresh = PriEMO(classifier, scope, loss="logit", targeted=True, **params)
    np.testing.assert_array_equal(used.generate(x, y), fresh.generate(x, y))


@pytest.mark.parametrize("name", ["sga", "gap", "uap-fgsm", "fawkes"])
def test_a_call_does_not_depend_on_an_earlier_one(classifier: Any, name: str) -> None:
    entry = registry.get("attacks", name)
    params = {"gap": {"passes": 1}, "fawkes": {"steps": 2}}.get(name, {})
    first, second = toy_faces(14)[0], toy_faces(14, seed=1)[0]
    used, fresh = (make_attack(entry, [classifier], params, seed=0) for _ in range(2))
    if name == "fawkes":  # the embedded faces are all alike to the toy
        used.fit(first), fresh.fit(first)  # type: ignore[attr-defined]
    used.generate(first)
    np.testing.assert_array_equal(used.generate(second), fresh.generate(second))


def test_a_wrong_parameter_sets_nothing(classifier: Any) -> None:
    attack = PriEMO(classifier, "image", **QUICK)
    for values, words in (({"eps": "8/255"}, "eps"), ({"nothing": 1}, "nothing cannot be set")):
        with pytest.raises(PriemoError, match=words):
            attack.set_params(**values)
    assert attack.eps == 8 / 255
    with pytest.raises(PriemoError, match="less than a grey level"):
        PriEMO(classifier, "image", eps=0.5 / 255)


def test_numpy_numbers_are_numbers(classifier: Any) -> None:
    x, y = toy_faces(7)
    plain = PriEMO(classifier, "image", **QUICK).generate(x, y)
    params = {**QUICK, "steps": np.int64(3), "verbose": np.bool_(False)}
    found = PriEMO(classifier, "image", eps=np.float32(8 / 255), **params).generate(x, y)
    assert np.abs(found - plain).max() <= 1 / 255 + 1e-6


class Rounded(nn.Module):
    def __init__(self, cut: bool) -> None:
        super().__init__()
        self.net, self.cut = ToyVictim(), cut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.net(x.detach() if self.cut else (x * 4).round() / 4)
        return found


def test_a_model_without_a_gradient_is_said() -> None:
    x, y = toy_faces(7)
    with pytest.warns(UserWarning, match="7 of 7 images came back unchanged"):
        PriEMO(as_art(freeze(Rounded(False)), 1, 32), "image", **QUICK).generate(x, y)
    with pytest.raises(PriemoError, match="no gradient with respect to its input"):
        PriEMO(as_art(Rounded(True).eval(), 1, 32), "image", **QUICK).generate(x, y)
