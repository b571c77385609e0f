"""Filters in Pri-EMO: what survives them, and what is not given up for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from priemo_bench import load_dataset, load_victim, registry
from priemo_bench.attacks.filters import Filter
from priemo_bench.attacks.priemo import PriEMO, attack, priemo_survive
from priemo_bench.attacks.priemo.objective import FeatureVectors, Objective
from priemo_bench.contracts.filter_sets import SETS
from priemo_bench.contracts.image import ByteImages, FloatImages, publish, to_float
from priemo_bench.contracts.storage import load_tensors, save_tensors
from priemo_bench.contracts.victim import as_art
from priemo_bench.quality.budget import Budget

QUIET: dict[str, Any] = {"verbose": False, "random_state": 0}
CAP: dict[str, Any] = {"ssim_floor": None, "eps": 8 / 255, "loss": "logit", **QUIET}


@pytest.mark.parametrize("scope", ["image", "universal", "class"])
def test_every_scope_survives_the_filters_that_it_expects(scope: Any, bands: Any) -> None:
    """The checkerboard moves the model most, and a blur wipes it out; the halves remain."""
    plain, surviving = (
        PriEMO(bands.classifier, scope, filters=filters, steps=40, **CAP).generate(bands.x, bands.y)
        for filters in ((), ("blur1",))
    )
    assert bands.protected(plain).all()
    assert not bands.protected(plain, "blur1").any()
    assert bands.protected(surviving, "blur1").all()
    assert Budget(None, 8 / 255).holds(publish(bands.x), publish(surviving)).all()


@pytest.mark.slow
def test_a_generator_survives_the_filters_that_it_expects(bands: Any) -> None:
    params = {**CAP, "eps": 16 / 255, "steps": 25, "confidence": 0.0}
    found = PriEMO(bands.classifier, "generator", filters=["blur1"], **params)
    assert bands.protected(found.generate(bands.x, bands.y), "blur1").all()


class Negative:
    """A defense against which nothing helps that helps without it."""

    def __call__(self, x: ByteImages, /) -> FloatImages:
        return to_float(255 - x)

    def smooth(self, x: Tensor) -> Tensor:
        return 1 - x


class Brightness(nn.Module):
    """Class 0 for images brighter than 124/255."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 7, bias=False)
        self.fc.weight.data = torch.cat([torch.eye(2), torch.full((5, 2), -1.0)])

    def forward(self, x: Tensor) -> Tensor:
        margins = x.mean((1, 2, 3)) - 124 / 255
        out: Tensor = self.fc(100 * torch.stack([margins, -margins], 1))
        return out


def test_protection_without_a_filter_is_not_given_up_for_one(
    bands: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attack, "check_filters", lambda names: None)
    monkeypatch.setattr(attack, "open_filters", lambda names: [Filter(Negative())] * len(names))
    classifier = as_art(Brightness(), 1, 16)
    x = np.full((2, 1, 16, 16), 127.0 / 255, np.float32)
    assert (classifier.predict(x).argmax(1) == 0).all()
    assert (classifier.predict(1 - x).argmax(1) == 0).all()
    for restarts in (0, 2):
        found = PriEMO(classifier, "image", filters=["negative"], restarts=restarts, **CAP)
        protected = found.generate(x, bands.y[:2])
        assert (classifier.predict(protected).argmax(1) == 1).all()


def objective(**params: Any) -> Objective:
    """Of one surrogate whose logits are the pixels, seen as they are and flipped."""
    flipped: Any = lambda x: x.flip(-1)  # noqa: E731
    found = Objective(
        [lambda x: (x.flatten(1), x.flatten(1))],  # type: ignore[list-item]
        lambda margins: margins.clamp_min(0), loss="logit", filters=[flipped], **params,
    )  # fmt: skip
    one = torch.ones(())
    found.vectors = [FeatureVectors(one, one, one, one, one)]
    return found


LOGITS = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0], [2.0, 0.0, 1.0]])[:, None, None]
OWN = torch.tensor([0, 1, 2])


def test_the_loss_is_the_norm_of_the_penalties_of_all_views() -> None:
    (_, margins), = objective().margins(LOGITS, OWN)  # fmt: skip
    assert margins.tolist() == [1.0, 1.0, -1.0, -1.0, 1.0, 1.0]
    loss, score = objective()(LOGITS, OWN)
    assert loss.tolist() == pytest.approx([1.0, 2**0.25, 1.0])
    assert score.tolist() == pytest.approx([2001.0, 3000 + 2**0.25, 1001.0])


def test_exposure_counts_views_and_the_image_itself_more_than_all_filters() -> None:
    assert objective().exposure(LOGITS, OWN).tolist() == [2, 3, 1]
    assert objective(targeted=True).exposure(LOGITS, OWN).tolist() == [1, 0, 2]
    plain = objective().without_filters()
    assert plain.exposure(LOGITS, OWN).tolist() == [1, 1, 0]
    assert plain(LOGITS, OWN)[1].tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("scope", ["image", "class", "universal", "generator"])
def test_saved_with_its_filters(scope: Any, bands: Any, tmp_path: Path) -> None:
    path = tmp_path / "attack.safetensors"
    fitted = PriEMO(bands.classifier, scope, filters=["bits4", "blur1"], steps=2, **CAP)
    fitted.fit(bands.x, bands.y).save(path)
    loaded = PriEMO.load(path, bands.classifier, verbose=False)
    assert loaded.filters == ("bits4", "blur1")
    x, y = bands.x, bands.y
    assert np.array_equal(loaded.generate(x, y), fitted.generate(x, y))


def test_a_file_of_a_version_without_filters_is_read(bands: Any, tmp_path: Path) -> None:
    path = tmp_path / "attack.safetensors"
    PriEMO(bands.classifier, "universal", steps=2, **CAP).fit(bands.x, bands.y).save(path)
    tensors, metadata = load_tensors(path)
    assert '"filters": [], ' in metadata["settings"]
    older = {**metadata, "settings": metadata["settings"].replace('"filters": [], ', "")}
    save_tensors(path, tensors, older)
    assert PriEMO.load(path, bands.classifier).filters == ()


def test_images_of_a_batch_count_in_all_views(bands: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, forward = [], bands.classifier.model.forward
    monkeypatch.setattr(
        bands.classifier.model, "forward", lambda x: (sizes.append(len(x)), forward(x))[1]
    )
    found = PriEMO(bands.classifier, "image", filters=["blur", "blur1"], batch_size=6, **CAP)
    found.generate(bands.x, bands.y)
    assert max(sizes) == 6


def test_the_preset_expects_the_first_set() -> None:
    victim = as_art(load_victim("repvgg"), 1, 48)
    made: Any = priemo_survive(victim)
    assert made.filters == ("set-1",)
    assert len(made._new_objective().filters) == len(SETS["set-1"])
    assert priemo_survive.traits == registry.get("attacks", "priemo-image").traits


def test_rendered_faces_survive_filters_of_a_victim() -> None:
    """On a recogniser of the zoo, counted over faces that it reads correctly in all views."""
    names = ["blur", "x50-area", "jpeg50"]
    views = [registry.get("defenses", name) for name in ("none", *names)]
    faces, model = load_dataset("rendered").split("test"), load_victim("repvgg")
    images, labels = faces.images[:12], faces.labels[:12]
    victim = as_art(model, images.shape[1], images.shape[2])

    def read(published: ByteImages) -> np.ndarray:
        return np.array([victim.predict(view(published)).argmax(1) for view in views])

    images, labels = (a[(read(images) == labels).all(0)] for a in (images, labels))
    assert len(labels) >= 4
    x, survival = to_float(images), []
    for filters in ((), names):
        found = PriEMO(victim, "image", filters=filters, loss="logit", steps=8, restarts=0, **QUIET)
        protected = publish(found.generate(x, labels))
        assert Budget().holds(images, protected).all()
        survival.append((read(protected) != labels).all(0).mean())
    assert survival[1] > survival[0]
