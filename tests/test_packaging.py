"""What pyproject.toml lists by hand is what there is."""

from __future__ import annotations

import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import priemo_bench
from priemo_bench.attacks import PriEMO

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
HOME = {"priemo_bench": "", "attacks": "priemo_bench.", "victims": "priemo_bench."}
"""Folder to what stands before its name as a package."""


def test_every_folder_with_code_is_a_package_of_the_wheel() -> None:
    found = {
        HOME[top] + ".".join(file.parent.relative_to(ROOT).parts)
        for top in HOME
        for file in (ROOT / top).rglob("*.py")
    }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == found


def test_every_file_that_is_no_code_is_data_of_the_wheel_or_a_page() -> None:
    listed = PROJECT["tool"]["setuptools"]["package-data"]
    home = {"priemo_bench.attacks": "attacks", "priemo_bench.victims": "victims"}
    covered = {
        file
        for package, patterns in listed.items()
        for pattern in patterns
        for file in (ROOT / home.get(package, package.replace(".", "/"))).glob(pattern)
    }
    files = {f for top in HOME for f in (ROOT / top).rglob("*") if f.is_file()}
    pages = {f for f in files if f.suffix in (".md", ".csv") or f.name == "likeness.json"}
    code = {f for f in files if f.suffix in (".py", ".pyc")}
    assert files - pages - code <= covered


@pytest.mark.parametrize("group", PROJECT["project"]["entry-points"])
def test_every_entry_point_loads(group: str) -> None:
    points = entry_points(group=group)
    assert {p.name for p in points} >= set(PROJECT["project"]["entry-points"][group])
    for point in points:
        assert callable(point.load()), point.name


def test_the_top_level_names_are_those_of_their_modules() -> None:
    assert priemo_bench.PriEMO is PriEMO
    with pytest.raises(AttributeError, match="nonsense"):
        _ = priemo_bench.nonsense
