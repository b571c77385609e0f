"""A benchmark of things that no entry point has: the door of docs/plugins.md, from end to end."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from priemo_bench import Benchmark, PriemoError, registry
from priemo_bench.cli import main

DOCS = Path(__file__).parents[2] / "docs/plugins.md"
SMALL: dict[str, Any] = {"limit": 7, "seeds": (0,)}


@pytest.fixture(autouse=True)
def _own_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(registry, "_OWN", {})
    monkeypatch.chdir(tmp_path)


class Net(nn.Module):
    """Emotion k is brightest in the k-th column of a picture."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = nn.functional.adaptive_avg_pool2d(x.mean(1, keepdim=True), (1, 7))
        return 50 * found.flatten(1)


def predict(images: Any) -> Any:
    """A black box: the emotion by the mean grey level."""
    return (images.mean((1, 2, 3)) // 40).astype(int) % 7


def darker(x: Any, eps: float = 8 / 255) -> Any:
    return np.clip(x - eps, 0, 1)


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_things_in_memory(tmp_path: Path, jobs: int) -> None:
    results = Benchmark(
        attacks={"mine": darker, "fast": "art:FastGradientMethod"},
        victims={"net": Net(), "api": predict},
        defenses={"upside-down": lambda images: images[:, :, ::-1] / np.float32(255)},
        metrics={"change": lambda x, y: np.abs(x.astype(float) - y).mean((1, 2, 3))},
        jobs=jobs,
        out=tmp_path / str(jobs),
        **SMALL,
    ).run("quiet")
    table = results.leaderboard()
    assert set(table["status"]) == {"ok"}, results.failures().to_string()
    assert set(table["attack"]) == {"mine", "fast"}
    rows = results.rows()
    assert {"net", "api"} == set(rows["victim"])
    assert {"none", "upside-down"} == set(rows["defense"])
    equal = table[(table["attack"] == "fast") & (table["budget"] == "equal")]
    assert set(equal["surrogate"]) == {"net"}  # the black box is judged only
    assert (rows["change"].dropna() > 0).all()


def test_the_file_and_the_command_of_the_docs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = re.findall(r"```python\n(# mine.py.*?)```", DOCS.read_text("utf-8"), re.DOTALL)[0]
    assert len(code.splitlines()) <= 10
    Path("mine.py").write_text(code)
    words = "priemo-bench run --attacks mine.py:shift --victims resnet --limit 7 --out out -q"
    monkeypatch.setattr("sys.argv", words.split())
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code, capsys.readouterr()
    assert "shift" in Path("out/leaderboard.csv").read_text()
    frozen = tomllib.loads(Path("out/spec.toml").read_text())
    assert frozen["plugins"] == {"attacks": {"shift": "mine.py:shift"}}
    Path("again").mkdir()
    assert Benchmark("out/spec.toml", out="out").plan()["todo"].eq("nothing").all()
    Path("mine.py").write_text(code.replace("x + eps", "x - eps"))
    plan = Benchmark("out/spec.toml", out="out").plan()
    assert plan["todo"].eq("everything").all()
    assert plan["why"].str.contains("code").all()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"attacks": "pgd"}, r"attacks is 'pgd'; it must be several, such as \('pgd',\)"),
        ({"attacks": 3}, "attacks is one int; it must be several"),
        ({"attacks": [lambda x: x]}, "is a lambda; give it a name"),
        ({"attacks": [("pgd", darker)]}, "attack 'pgd' is there already"),
        ({"attacks": [("a+b", darker)]}, "'a\\+b' cannot be called so"),
        ({"attacks": ["nowhere.py:f"]}, "attack file nowhere.py does not exist"),
        ({"victims": ["nowhere.toml"]}, "victim file nowhere.toml does not exist"),
        ({"params": {"steps": 3}}, "go with attacks that are chosen"),
    ],
)
def test_what_cannot_be_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(PriemoError, match=words):
        Benchmark(**given)


def test_a_broken_thing_costs_only_itself(tmp_path: Path) -> None:
    results = Benchmark(
        attacks={"broken": 3, "mine": darker}, victims=("resnet",), out=tmp_path / "o", **SMALL
    ).run("quiet")
    failed = results.failures()
    assert set(failed["attack"]) == {"broken"}
    assert failed["reason"].str.contains("is a int; an attack is an ART EvasionAttack").all()
    assert set(results.leaderboard()["attack"]) >= {"mine"}
