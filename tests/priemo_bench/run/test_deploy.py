"""Perturbations as files: a place is tried first, no photo written over, a damaged file refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from safetensors.numpy import save_file

from priemo_bench.contracts.storage import load_tensors
from priemo_bench.errors import PriemoError
from priemo_bench.run import deploy
from priemo_bench.run.deploy import FitRequest, fit_to_file, protect_photos
from priemo_bench.run.spec import DatasetSpec

pytestmark = pytest.mark.usefixtures("world")


def request_(**changes: Any) -> FitRequest:
    values: dict[str, Any] = {
        "attack": "sga", "surrogates": ("toy-a",), "dataset": DatasetSpec(name="toys"),
        "params": {"passes": 1}, "limit": 14,
    }  # fmt: skip
    return FitRequest(**{**values, **changes})


@pytest.fixture
def perturbation(tmp_path: Path) -> Path:
    fit_to_file(request_(), tmp_path / "u.safetensors")
    return tmp_path / "u.safetensors"


def photo(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(0).integers(60, 200, (32, 32), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_the_folder_of_a_perturbation_is_made(tmp_path: Path) -> None:
    fit_to_file(request_(), tmp_path / "new" / "folder" / "u.safetensors")
    assert [p.name for p in (tmp_path / "new" / "folder").iterdir()] == ["u.safetensors"]


@pytest.mark.parametrize("place", ["/proc/u.safetensors", "file/u.safetensors", "a.safetensors"])
def test_a_place_is_tried_before_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "a.safetensors").mkdir()
    monkeypatch.setattr(deploy, "_fitted", lambda *_: pytest.fail("fitted"))
    with pytest.raises(PriemoError, match=r"u\.safetensors cannot be written|is a folder"):
        fit_to_file(request_(), tmp_path / place)


def test_an_original_is_never_written_over(tmp_path: Path, perturbation: Path) -> None:
    original, other = photo(tmp_path / "a" / "me.png"), photo(tmp_path / "a" / "you.jpg")
    before = original.read_bytes()
    linked = tmp_path / "linked"
    linked.symlink_to(original.parent)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "me.png").hardlink_to(original)
    for out in (original.parent, linked, tmp_path / "b"):
        with pytest.raises(PriemoError, match=r"me\.png .* give another"):
            list(protect_photos([other, original], perturbation, out))
    assert original.read_bytes() == before
    photo(tmp_path / "a" / "you.png")
    with pytest.raises(PriemoError, match=r"you\.png is there already, in the folder of your"):
        list(protect_photos([other], perturbation, original.parent))


def test_a_colour_photo_stays_in_colour(tmp_path: Path, perturbation: Path) -> None:
    pixels = np.random.default_rng(0).integers(60, 200, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "me.png")
    (path,) = protect_photos([tmp_path / "me.png"], perturbation, tmp_path / "out")
    change = np.asarray(Image.open(path), int) - pixels
    grey = Image.fromarray(pixels).convert("L")
    grey.save(tmp_path / "grey.png")
    (path,) = protect_photos([tmp_path / "grey.png"], perturbation, tmp_path / "out")
    of_grey = np.asarray(Image.open(path), int) - np.asarray(grey, int)
    assert 0 < abs(of_grey).max() <= 8
    np.testing.assert_array_equal(change, np.repeat(of_grey[..., None], 3, 2))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_the_colour_profile_is_kept(tmp_path: Path, perturbation: Path, mode: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new(mode, (32, 32)).save(tmp_path / "me.png", icc_profile=profile)
    (path,) = protect_photos([tmp_path / "me.png"], perturbation, tmp_path / "out")
    with Image.open(path) as protected:
        assert protected.info["icc_profile"] == profile


def test_protected_photos_may_be_written_again(tmp_path: Path, perturbation: Path) -> None:
    original = photo(tmp_path / "a" / "me.png")
    for _ in range(2):
        (path,) = protect_photos([original], perturbation, tmp_path / "out")
        assert path == tmp_path / "out" / "me.png"
    beside = photo(tmp_path / "a" / "you.jpg")
    assert [*protect_photos([beside], perturbation, tmp_path / "a")] == [tmp_path / "a" / "you.png"]


def test_a_damaged_perturbation_is_one_sentence(tmp_path: Path, perturbation: Path) -> None:
    rng, original = np.random.default_rng(0), photo(tmp_path / "a" / "me.png")
    tensors, metadata = load_tensors(perturbation)
    odd = ["", "x", "-1", "1e30", "3x0x9", "1x99999x99999", "3x32x32", "1x31x31", "[]", "none"]
    for key in metadata:
        for value in [None, *odd]:
            changed = {k: v for k, v in {**metadata, key: value}.items() if v is not None}
            save_file(tensors, perturbation, changed)
            refused(original, perturbation)
    for name, tensor in tensors.items():
        for wrong in (tensor.ravel()[:3], tensor[..., :1], np.full_like(tensor, np.nan)):
            save_file({**tensors, name: np.ascontiguousarray(wrong)}, perturbation, metadata)
            refused(original, perturbation)
    save_file(tensors, perturbation, metadata)
    whole = perturbation.read_bytes()
    for _ in range(50):
        code = bytearray(whole)
        code[rng.integers(min(len(code), 900))] = rng.integers(256)
        perturbation.write_bytes(code)
        refused(original, perturbation)


def refused(original: Path, perturbation: Path) -> None:
    """Protects, or says in one line why not."""
    said = ""
    try:
        list(protect_photos([original], perturbation, perturbation.parent / "out"))
    except PriemoError as error:
        said = str(error)
    assert "\n" not in said, said
