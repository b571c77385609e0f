"""Specs: fractions, overrides, the frozen copy, and one sentence for each mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from priemo_bench.errors import PriemoError
from priemo_bench.run.spec import BUNDLED, load, parse

pytestmark = pytest.mark.usefixtures("world")
BASE: dict[str, Any] = {
    "datasets": [{"name": "toys"}],
    "victims": ["toy-a", "toy-b"],
    "attacks": [{"name": "pgd", "label": "PGD"}, {"name": "nothing"}],
}


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_specs_are_right(name: str) -> None:
    assert load(name).check().name == name


def test_fractions_and_no_bound() -> None:
    spec = parse(
        {**BASE, "eps": "8/255", "ssim_floor": "none", "eps_grid": ["1 / 255", "1.5/255", 0.5]}
    )
    assert spec.eps == 8 / 255
    assert spec.ssim_floor is None
    assert spec.eps_grid == (1 / 255, 1.5 / 255, 0.5)


def test_the_frozen_copy_reads_back(tmp_path: Path) -> None:
    spec = parse({**BASE, "eps": "none", "surrogates": ["toy-a", ["toy-a", "toy-b"]]})
    assert load(write(tmp_path / "s.toml", spec.to_toml())) == spec


def test_overrides(tmp_path: Path) -> None:
    path = write(
        tmp_path / "s.toml",
        'victims = ["toy-a"]\n[[datasets]]\nname = "toys"\nlimit = 9\n'
        '[[attacks]]\nname = "pgd"\nlabel = "P"\nsurrogates = ["toy-a"]\nseeds = [7]\nlimit = 3\n'
        '[[attacks]]\nname = "noise"\n',
    )
    spec = load(path, attacks=("P", "blur"), limit=5, seeds=(1, 2), eps="4/255")
    assert [a.title for a in spec.attacks] == ["P", "blur"]
    assert spec.attacks[0].limit == 3
    assert (spec.datasets[0].limit, spec.seeds, spec.eps) == (5, (1, 2), 4 / 255)
    assert spec.attacks[0].seeds is None
    other = load(path, dataset="folder", data="here", surrogates=("toy-b", ("toy-a", "toy-b")))
    assert [(d.name, d.data, d.limit) for d in other.datasets] == [("folder", Path("here"), None)]
    assert (other.attacks[0].surrogates, other.attacks[0].seeds) == (None, (7,))
    assert other.all_surrogates == ["toy-b", "toy-a"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"attacks": [{"name": "pdg"}]}, "'pdg'; did you mean pgd"),
        ({"victims": ["toy-d"]}, "victim is called 'toy-d'; did you mean"),
        ({"surrogates": ["toy-d"]}, "victim is called 'toy-d'"),
        ({"defenses": ["jpeg7"]}, "defense is called 'jpeg7'; did you mean jpeg75"),
        ({"datasets": [{"name": "toy"}]}, "dataset is called 'toy'; did you mean toys"),
        ({"datasets": [{"name": "toys"}, {"name": "toys"}]}, "stands twice"),
        ({"datasets": [{"name": "toys", "limit": 0}]}, "datasets.0.limit is 0"),
        ({"seed": [1]}, "'seed'; did you mean seeds"),
        ({"attacks": [{"name": "pgd", "parms": {}}]}, "'parms'; did you mean params"),
        ({"attacks": [{"name": "pgd", "targets": ["hapy"]}]}, "'hapy'; did you mean happy"),
        ({"eps_grid": ["300/255"]}, "must be in"),
        ({"eps": "eight"}, "eps is 'eight'"),
        ({"eps": "8/"}, "eps is '8/'"),
        ({"victims": []}, "victims is"),
    ],
)
def test_mistakes_are_one_sentence(change: dict[str, Any], said: str) -> None:
    with pytest.raises(PriemoError, match=said) as error:
        parse({**BASE, **change})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [1.0, 0.0, 1.5])
def test_an_impossible_floor(value: float) -> None:
    with pytest.raises(PriemoError, match="ssim_floor"):
        parse({**BASE, "ssim_floor": value}).check()


@pytest.mark.parametrize("value", [0.0, 1.5, -1.0])
def test_an_impossible_eps(value: float) -> None:
    with pytest.raises(PriemoError, match="eps"):
        parse({**BASE, "eps": value}).check()


def test_files_that_are_no_specs(tmp_path: Path) -> None:
    with pytest.raises(PriemoError, match="did you mean default"):
        load("defalt")
    with pytest.raises(PriemoError, match="does not exist"):
        load(tmp_path / "none.toml")
    with pytest.raises(PriemoError, match="not TOML"):
        load(write(tmp_path / "a.toml", "= 1"))
    for text in ("attacks = 4", 'attacks = ["pgd"]', "datasets = 3", 'datasets = ["toys"]'):
        with pytest.raises(PriemoError, match="begin each with"):
            load(write(tmp_path / "a.toml", text), seeds=(1,))


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_specs_choose_strengths_on_a_hundred_faces(name: str) -> None:
    spec = load(name)
    limits = [spec.select_limit, *(attack.select_limit for attack in spec.attacks)]
    assert min(limit for limit in limits if limit) >= 100
