"""The victim that starts from a face-recognition network; its files are tested in test_zoo.py."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from priemo_bench.contracts.weights.face_recognition import FaceRecognition
from priemo_bench.errors import PriemoError
from priemo_bench.victims import recognition
from priemo_bench.victims.recognition import RecognitionVictim, dlib_resnet


def test_it_is_the_recognition_network_with_another_last_layer() -> None:
    """Which reads faces of 150 pixels, and its own resizing and mean, too."""
    victim, x = RecognitionVictim(150).eval(), torch.rand(2, 3, 48, 48)
    assert torch.allclose(victim(x), victim.net(x), atol=1e-6)
    assert victim(x).shape == (2, 7)


def test_mirror_images_have_the_same_features() -> None:
    victim, x = RecognitionVictim(112, mirrored=True).eval(), torch.rand(2, 1, 48, 48)
    assert torch.allclose(victim.features(x), victim.features(x.flip(-1)), atol=1e-6)


def test_bfloat16_is_for_training_only() -> None:
    """It rounds to 8 bits of mantissa."""
    torch.manual_seed(0)
    mixed, x = RecognitionVictim(112, bfloat16=True), torch.rand(2, 3, 112, 112)
    exact = RecognitionVictim(112)
    exact.load_state_dict(mixed.state_dict())
    assert torch.equal(mixed.eval()(x), exact.eval()(x))
    with torch.no_grad():
        rounded, features = mixed.train().features(x), exact.train().features(x)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, features)
    assert torch.allclose(rounded, features, atol=0.05 * float(features.abs().max()))


def test_training_starts_from_the_published_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    published = FaceRecognition()
    monkeypatch.setattr(recognition, "ARCHIVE", SimpleNamespace(checked=lambda: tmp_path))
    monkeypatch.setattr(recognition, "load", lambda folder: published)
    expected = {k: v.clone() for k, v in published.state_dict().items() if "last" not in k}
    started = dlib_resnet.initial().net.state_dict()
    assert all(torch.equal(started[k], v) for k, v in expected.items())
    assert started["last.weight"].shape == (7, 256)


def test_its_spec_names_the_package_that_is_installed_for_it() -> None:
    start, archive = dlib_resnet.spec.start, recognition.ARCHIVE
    assert start is not None
    assert (start.project, start.version) == (archive.project, archive.version)
    assert (start.sha256, start.file_sha256) == (archive.sha256, archive.files[start.file])
    assert dlib_resnet.card.start == start.file_sha256


def test_without_these_weights_one_sentence_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PRIEMO_HOME", str(tmp_path))
    with pytest.raises(PriemoError, match="priemo-bench install same_person"):
        dlib_resnet.initial()
