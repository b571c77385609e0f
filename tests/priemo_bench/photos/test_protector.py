"""Faces are hidden within the budget, and nothing else of a photo changes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import structural_similarity

from priemo_bench.contracts.attack import Traits
from priemo_bench.errors import PriemoError
from priemo_bench.photos import attacking, carrying
from priemo_bench.photos.faces import Box
from priemo_bench.photos.photo import Photo, from_array, from_picture
from priemo_bench.photos.protector import Protector
from priemo_bench.photos.saving import encoded
from priemo_bench.photos.settings import Settings

pytestmark = pytest.mark.usefixtures("world")
RNG = np.random.default_rng(0)


def settings(**changes: Any) -> Settings:
    values: dict[str, Any] = {"attack": "gradient", "surrogates": ("toy-a",), "readers": ()}
    return Settings(**{**values, **changes})


def ssim(x: Any, y: Any) -> float:
    return float(structural_similarity(
        x, y, channel_axis=2, data_range=255, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False,
    ))  # fmt: skip


def test_the_rest_of_a_photo_is_bit_for_bit_as_it_was(scene: Any) -> None:
    x = scene(480, 300, [(40, 60, 90), (250, 70, 150)])
    found = Protector(settings(bounds={"ssim_floor": 0.99, "eps": 6 / 255}))(from_array(x))
    assert len(found.faces) == 2
    outside = np.ones(x.shape[:2], bool)
    for face in found.faces:
        face.box.of(outside)[:] = False
        before, after = face.box.of(x), face.box.of(found.pixels)
        largest = np.abs(before.astype(int) - after).max()
        assert 0 < largest <= 6
        assert face.linf == pytest.approx(largest / 255)
        # independent of the project's own SSIM
        assert 0.99 - 1e-5 <= ssim(before, after) < 0.9999
        assert set(face.before) == set(face.after) == {"toy-a"}
    np.testing.assert_array_equal(found.pixels[outside], x[outside])
    np.testing.assert_array_equal(x, scene(480, 300, [(40, 60, 90), (250, 70, 150)]))


def face_photo(scene: Any, channels: int = 3, side: int = 112) -> Photo:
    picture = Image.fromarray(scene.faces[3]).resize((side, side), 3)
    x = np.array(picture if channels == 3 else picture.convert("L"))
    return from_array(x)


def on_resnet(**changes: Any) -> Settings:
    """Few steps, at the face itself."""
    values: dict[str, Any] = {
        "attack": "priemo-image", "surrogates": ("resnet",), "whole": True,
        "params": {"steps": 6, "restarts": 0},
    }  # fmt: skip
    return settings(**{**values, **changes})


@pytest.fixture(autouse=True)
def _few_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attacking, "FIT_FACES", 14)


@pytest.mark.parametrize("attack", ["priemo-image", "pgd", "fgsm"])
def test_surrogates_no_longer_predict_the_emotion(scene: Any, attack: str) -> None:
    params = {"steps": 6} if attack == "priemo-image" else {}
    found = Protector(on_resnet(attack=attack, params=params))(face_photo(scene))
    (face,) = found.faces
    is_hidden = face.before["resnet"] != face.after["resnet"]
    assert is_hidden or attack in ("pgd", "fgsm")
    assert face.note == "" if is_hidden else "still predicted by resnet within this budget"
    assert ssim(found.photo.pixels, found.pixels) >= 0.98 - 1e-5
    assert 0 < np.abs(found.photo.pixels.astype(int) - found.pixels).max() <= 16


def test_bounds_that_are_asked_for_are_not_widened(scene: Any) -> None:
    asked = {"ssim_floor": 0.9999, "eps": 1 / 255}
    found = Protector(on_resnet(attack="fgsm", params={}, bounds=asked))(face_photo(scene))
    (face,) = found.faces
    assert face.linf <= 1 / 255
    assert ssim(found.photo.pixels, found.pixels) >= 0.9999 - 1e-6
    assert face.note == "still predicted by resnet within this budget"


def test_a_target_is_reached(scene: Any) -> None:
    photo = face_photo(scene)
    (face,) = Protector(on_resnet(target="sad"))(photo).faces
    assert face.before != {"resnet": "sad"}
    assert face.after == {"resnet": "sad"}


def test_what_shines_through_stays(scene: Any) -> None:
    x = scene(220, 200, [(40, 40, 120)])
    alpha = np.full(x.shape[:2], 255, np.uint8)
    alpha[:, 110:] = 77
    picture = Image.fromarray(np.dstack([x, alpha]))
    found = Protector(settings())(from_picture(picture))
    data, _ = encoded(found, Protector(settings()))
    assert found.photo.picture(found.pixels).mode == "RGBA"
    np.testing.assert_array_equal(found.pixels[alpha < 255], x[alpha < 255])
    assert (found.pixels != x).any()
    assert data.startswith(b"\x89PNG")


def test_a_grey_photo_stays_grey(scene: Any) -> None:
    found = Protector(on_resnet())(face_photo(scene, 1))
    assert found.pixels.shape == (112, 112, 1)
    assert found.faces[0].before != found.faces[0].after


def test_a_huge_face_is_worked_on_small_and_published_at_its_own_size(
    scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "WORK", 112)
    monkeypatch.setattr(attacking, "reduced", lambda crop: carrying.reduced(crop, 112))
    found = Protector(on_resnet(bounds={"ssim_floor": 0.98}))(face_photo(scene, side=700))
    (face,) = found.faces
    assert face.note == "computed at 112x112 pixels"
    assert face.before["resnet"] != face.after["resnet"]
    assert found.pixels.shape == (700, 700, 3)
    assert ssim(found.photo.pixels, found.pixels) >= 0.98 - 1e-5
    assert np.abs(found.photo.pixels.astype(int) - found.pixels).max() <= 8


def test_too_small_a_face_is_left_alone(scene: Any) -> None:
    photo = face_photo(scene)
    found = Protector(settings())(photo, [Box(0, 0, 10, 30), Box(20, 20, 60, 60)])
    assert [face.is_protected for face in found.faces] == [False, True]
    assert found.faces[0].note == "left alone: fewer than 11 pixels a side"


def test_jpeg_says_what_is_left(scene: Any) -> None:
    protector = Protector(on_resnet(jpeg=88, bounds={"ssim_floor": 0.98}))
    found = protector(face_photo(scene))
    data, (facts,) = encoded(found, protector)
    assert data.startswith(b"\xff\xd8")
    decoded = np.array(Image.open(io.BytesIO(data)))
    own = ssim(found.photo.pixels, decoded)
    assert facts["saved_ssim"] == pytest.approx(own, abs=2e-3)  # the smaller of two means
    assert facts["saved"]["resnet"] != facts["before"]["resnet"]
    assert facts["saved_ssim"] < facts["ssim"]
    assert facts["jpeg_ssim"] > facts["saved_ssim"]
    attack: Any = next(iter(protector.method._fitted.values()))  # type: ignore[union-attr]
    assert attack.filters == ("jpeg88",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"attack": "priemo-imag"}, "no attack is called 'priemo-imag'; did you mean priemo-image"),
        ({"attack": "sga"}, "attack 'sga' is fitted first: priemo-bench fit sga"),
        ({"attack": "blur"}, "attack 'blur' is transform; photos are protected by a per-image"),
        ({"surrogates": ("resnt",)}, "no victim is called 'resnt'; did you mean resnet"),
        ({"surrogates": ()}, "needs surrogates"),
        ({"target": "glad"}, "no emotion is called 'glad'"),
        ({"bounds": {"ssim_floor": 1.5}}, "ssim_floor is 1.5; it must lie between 0 and 1"),
        ({"bounds": {"ssim_floor": None, "eps": None}}, "neither a floor nor eps is given"),
        ({"perturbation": Path("p.safetensors")}, "p.safetensors does not exist; priemo-bench fit"),
        ({"jpeg": 0}, "jpeg is 0; it must be a quality from 1 to 95"),
        ({"seed": -1}, "seed is -1; it must be from 0"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PriemoError, match=said):
        Protector(settings(**changes))


def test_an_attack_without_a_model_stands_beside_any_surrogates(scene: Any) -> None:
    def lighter(x: Any, eps: float = 8 / 255) -> Any:
        return (x + eps).clip(0, 1)

    given = settings(attack=("lighter", lighter), surrogates=("resnet", "vgg"), whole=True)
    found = Protector(given)(face_photo(scene))
    assert (found.pixels.astype(int) - found.photo.pixels).max() > 0


def test_an_attack_that_fails_is_one_sentence(scene: Any) -> None:
    class Odd:
        traits = Traits("per-image", "image", "one")

        def __init__(self, classifier: Any) -> None: ...

        def generate(self, x: Any, y: Any = None) -> Any:
            raise RuntimeError("out of\nluck")

    protector = Protector(settings(attack=("odd", Odd), whole=True))
    with pytest.raises(PriemoError, match="attack 'odd' failed: RuntimeError: out of luck"):
        protector(face_photo(scene))
