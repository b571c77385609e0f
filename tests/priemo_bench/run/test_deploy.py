"""Perturbations as files: a place is tried before the fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from priemo_bench.contracts.attack import Traits
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


class Unsaved:
    """Learns, and has no `save`."""

    traits = Traits("universal", "universal", "one")

    def __init__(self, classifier: Any) -> None: ...

    def fit(self, x: Any, y: Any = None) -> None:
        pytest.fail("fitted")

    def apply(self, x: Any) -> Any:
        return x


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"surrogates": ("toy-aa",)}, "no victim is called 'toy-aa'; did you mean toy-a"),
        ({"surrogates": ("toy-a+toy-b",)}, "no victim is called"),
        ({"params": {"ssim_floor": 0.98}}, "'sga' is fitted without a floor; give --eps"),
        (
            {"attack": ("unsaved", Unsaved), "params": {}},
            "'unsaved' cannot be saved: it needs save",
        ),
    ],
)
def test_what_cannot_be_fitted_is_told_before_the_fit(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(PriemoError, match=said):
        fit_to_file(request_(**changes), tmp_path / "u.safetensors")
