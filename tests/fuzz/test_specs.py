"""Specs of runs and of studies, as values and as bytes of TOML."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import strategies as st

from priemo_bench.adversaries.study import load as load_study
from priemo_bench.run.spec import SPECS, default_folder, load, parse, same_run

SPEC: dict[str, Any] = {
    "name": "fuzz", "victims": ["resnet", "vgg"], "surrogates": ["resnet", ["vgg", "resnet"]],
    "defenses": ["none", "jpeg75", "set-1"], "metrics": ["lpips"], "seeds": [0, 1],
    "ssim_floor": 0.997, "eps": "8/255", "psnr_floor": 42.0, "eps_grid": [0.01, 0.02],
    "threat": "white-box", "fit_limit": 20, "select_limit": "none", "draw_seed": 3,
    "datasets": [{"name": "rendered", "limit": 20, "size": 48}],
    "attacks": [
        {"name": "pgd", "label": "p", "params": {"max_iter": 3, "norm": "inf"}, "seeds": [2],
         "budgets": ["equal"], "targets": ["happy", "none"], "conventional": {"eps": 0.1}},
        {"name": "noise", "limit": 5, "defenses": False, "one_strength": False},
    ],
}  # fmt: skip
STUDY = tomllib.loads((Path(load.__code__.co_filename).parents[1] / "adversaries/study.toml")
                      .read_text("utf-8"))  # fmt: skip


def slow(few: int, many: int) -> Any:
    """How many inputs, in CI and in the slow run."""
    return pytest.mark.parametrize("amount", [few, pytest.param(many, marks=pytest.mark.slow)])


def use(path: Path) -> None:
    spec = load(path)
    spec.check()
    assert same_run(spec, parse(tomllib.loads(spec.to_toml())))
    folder = default_folder(path, spec)
    assert folder.parent == Path("runs")
    assert folder.name not in ("", ".", "..")


def written(folder: Path, values: Any) -> Path:
    path = folder / "spec.toml"
    path.write_bytes(tomli_w.dumps(values).encode("utf-8", "surrogatepass"))
    return path


@slow(60, 30_000)
def test_values_of_specs(fuzz: Any, inputs: Any, amount: int) -> None:
    fuzz(inputs.changed(SPEC), lambda values: use(written(fuzz.folder, values)), amount)


@slow(40, 15_000)
def test_bytes_of_specs(fuzz: Any, inputs: Any, amount: int) -> None:
    whole = tomli_w.dumps(SPEC).encode()

    def attempt(data: bytes) -> None:
        (fuzz.folder / "spec.toml").write_bytes(data)
        use(fuzz.folder / "spec.toml")

    fuzz(inputs.damaged(whole), attempt, amount)


@slow(20, 5_000)
def test_values_that_the_command_line_replaces(fuzz: Any, inputs: Any, amount: int) -> None:
    some = st.one_of(inputs.values, st.lists(inputs.values, max_size=3).map(tuple))
    keys = ["dataset", "data", "size", "limit", "attacks", "victims", "surrogates", "seeds",
            "defenses", "metrics", "ssim_floor", "eps", "psnr_floor"]  # fmt: skip
    path = written(fuzz.folder, SPEC)

    def attempt(values: dict[str, Any]) -> None:
        load(path, **values).check()

    fuzz(st.dictionaries(st.sampled_from(keys), some, min_size=1, max_size=2), attempt, amount)


@slow(15, 2_000)
def test_studies(fuzz: Any, inputs: Any, amount: int) -> None:
    fuzz(inputs.changed(STUDY), lambda values: load_study(written(fuzz.folder, values)), amount)


def test_bundled_specs_are_results(fuzz: Any) -> None:
    for own in SPECS.iterdir():
        if own.name.endswith(".toml"):
            fuzz.once(lambda own=own: load(own.name[:-5]))
