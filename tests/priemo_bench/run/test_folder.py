"""The spec that stands in the folder of a run, of this version, another, or damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from priemo_bench import __version__
from priemo_bench.errors import PriemoError
from priemo_bench.run.folder import SPEC, claimed, stored_spec
from priemo_bench.run.running import Running
from priemo_bench.run.spec import Spec, load


@pytest.mark.parametrize("text", ["", "name = ", "[" * 9999, 'name = "x"', "\0", "colour = 3"])
def test_a_spec_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / SPEC).write_text(text)
    assert stored_spec(tmp_path) is None
    assert stored_spec(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("version", "refused"),
    [("999.1", True), ("0.0.1", False), (__version__, False), ("", False), ("x", False)],
)
def test_the_run_of_a_newer_version_is_not_taken_over(
    tmp_path: Path, version: str, refused: bool
) -> None:
    """Its spec has a key that this version does not know."""
    spec = load("default")
    text = f'{spec.to_toml()}\n[versions]\npriemo-bench = "{version}"\n'
    (tmp_path / SPEC).write_text("brightness = 3\n" + text)
    if not refused:
        assert stored_spec(tmp_path) is None
        return
    with (
        pytest.raises(PriemoError, match=r"priemo-bench 999\.1, which this version"),
        claimed(tmp_path, spec, overwrite=True),
    ):
        pass
    assert "brightness" in (tmp_path / SPEC).read_text()


def test_the_spec_of_an_older_version_is_read(tmp_path: Path) -> None:
    spec = load("default")
    (tmp_path / SPEC).write_text(f'{spec.to_toml()}\n[versions]\npriemo-bench = "0.1.0"\n')
    found = stored_spec(tmp_path)
    assert found is not None
    assert found.attacks == spec.attacks


def test_a_mistake_claims_no_folder(tmp_path: Path, world: dict[str, Any]) -> None:
    """What fails before any work leaves the folder to the next spec; what has work keeps it."""
    a, b = (load_toys(victims=(name,)) for name in ("toy-a", "toy-b"))
    with pytest.raises(PriemoError, match="wrong"), claimed(tmp_path, a):
        raise PriemoError("wrong")
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "one").touch()
    with pytest.raises(PriemoError, match="wrong"), claimed(tmp_path, b):
        raise PriemoError("wrong")
    with pytest.raises(PriemoError, match="another spec"), claimed(tmp_path, a):
        pass


def test_no_run_is_written_over_files_of_none(tmp_path: Path) -> None:
    spec, own = load("default"), tmp_path / "README.md"
    own.write_text("notes")
    with pytest.raises(PriemoError, match="files that are of no run"), claimed(tmp_path, spec):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    with claimed(tmp_path, spec, overwrite=True):
        assert own.read_text() == "notes"


@pytest.mark.parametrize(
    "text", ["", "[]", '{"run": 1}', '{"run": "r", "title": 2, "steps": 1, "done": 0, "deaths": 0}']
)
def test_a_damaged_file_of_a_running_cell_counts_as_none(tmp_path: Path, text: str) -> None:
    running = Running(tmp_path, "r")
    running.begin("k", "a cell", 3)
    assert running.of("k")["steps"] == 3
    (running.folder / "k.json").write_text(text)
    assert running.of("k") == {}
    assert running.deaths("k") == 0
    assert running.all() == []


def load_toys(**overrides: Any) -> Spec:
    values = {
        "name": "toys", "datasets": [{"name": "toys"}], "attacks": [{"name": "noise"}],
        "surrogates": ("toy-a",),
    }  # fmt: skip
    return Spec(**{**values, **overrides})
