"""Perturbations as files: a place is tried before the fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from priemo_bench.errors import PriemoError
from priemo_bench.run import deploy
from priemo_bench.run.deploy import FitRequest, fit_to_file
from priemo_bench.run.spec import DatasetSpec

pytestmark = pytest.mark.usefixtures("world")


def request_(**changes: Any) -> FitRequest:
    values: dict[str, Any] = {
        "attack": "sga", "surrogates": ("toy-a",), "dataset": DatasetSpec(name="toys"),
        "params": {"passes": 1}, "limit": 14,
    }  # fmt: skip
    return FitRequest(**{**values, **changes})


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
