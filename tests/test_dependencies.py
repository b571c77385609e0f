"""The ranges of dependencies: each has a floor, what is installed is within, floors go together."""

from __future__ import annotations

import runpy
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
OF_TORCH = {"torchvision"}
"""Their versions follow from torch's."""
FLOORS: dict[str, str] = runpy.run_path(str(ROOT / ".ci/floors.py"))["floors"]()
LARGE = {
    "torch", "timm", "lpips", "torchattacks", "torchattack", "onnx2torch", "anny", "pyvista",
    "adversarial-robustness-toolbox", "keras", "transformers",
}  # fmt: skip
"""What needs torch or gigabytes: `.ci/floors.py` says how to try them, too."""


def needed() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    texts = [*PROJECT["dependencies"], *(t for k, v in extras.items() if k != "test" for t in v)]
    found = [Requirement(text) for text in texts]
    return [one for one in found if one.name != "priemo-bench"]


def test_every_dependency_has_a_floor_within_its_range() -> None:
    for one in needed():
        assert one.name in FLOORS or one.name in OF_TORCH, one
        assert one.name in OF_TORCH or FLOORS[one.name] in one.specifier, one


def test_what_is_installed_is_within_the_ranges() -> None:
    for one in needed():
        try:
            installed = version(one.name)
        except PackageNotFoundError:  # of an extra
            continue
        assert one.specifier.contains(installed, prereleases=True), (one, installed)


@pytest.mark.slow
def test_the_floors_go_together() -> None:
    """By pip, without installing them; needs an index of packages."""
    pins = [f"{name}=={floor}" for name, floor in FLOORS.items() if name not in LARGE]
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "-q"]
    ended = subprocess.run([*command, *pins], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert "yanked" not in ended.stderr
