"""Specs: fractions, overrides, the frozen copy, and one sentence for each mistake."""

from __future__ import annotations

import tomllib
from datetime import date
from itertools import product
from math import inf, nan
from pathlib import Path
from re import fullmatch
from time import process_time
from typing import Any

import pytest

from priemo_bench.errors import PriemoError
from priemo_bench.run.spec import (
    BUNDLED,
    AttackSpec,
    DatasetSpec,
    Spec,
    default_folder,
    differences,
    load,
    parse,
    same_run,
)

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
    spec = parse(
        {**BASE, "eps": "none", "select_limit": None, "surrogates": ["toy-a", ["toy-a", "toy-b"]]}
    )
    assert load(write(tmp_path / "s.toml", spec.to_toml())) == spec


def test_infinite_params_read_back(tmp_path: Path) -> None:
    text = (
        'victims = ["toy-a"]\n[[datasets]]\nname = "toys"\n[[attacks]]\nname = "pgd"\n'
        "params = { norm = inf, low = -inf, list = [1, [2.5]], on = true }\n"
    )
    spec = load(write(tmp_path / "a.toml", text))
    assert spec.attacks[0].params["norm"] == inf
    again = load(write(tmp_path / "b.toml", spec.to_toml()))
    assert again == spec
    assert same_run(again, spec)


ODD: list[Any] = [
    True, -1, 0, 11, 2**32, 10**400, 0.5, inf, nan, "", "none", "all", "1e400", "1/0", "a/b", "..",
    "a\nb", "x" * 999, [], [[]], ["none"], [["toy-a", "toy-b"]], [0, 0], {}, {"a": [{}]},
    date(2026, 1, 2), [{"name": "pgd"}],
]  # fmt: skip


@pytest.mark.parametrize("table", ["", "datasets", "attacks"])
def test_any_value_is_read_or_refused_by_a_sentence(table: str) -> None:
    model = {"": Spec, "datasets": DatasetSpec, "attacks": AttackSpec}[table]
    for field, value in product(model.model_fields, ODD):
        start, said = process_time(), ""
        try:
            own = {**BASE[table][0], field: value} if table else value
            spec = parse({**BASE, **({table: [own]} if table else {field: own})})
            assert same_run(spec, parse(tomllib.loads(spec.to_toml()))), (field, value)
        except PriemoError as error:
            said = str(error)
        assert "\n" not in said, (field, value)
        assert process_time() - start < 1, (field, value)


@pytest.mark.parametrize("text", ["1e400", "1e4000000", "-1e99999999", "1/1e99999999", "9" * 5000])
def test_a_number_of_any_length_is_answered_at_once(text: str) -> None:
    start = process_time()
    with pytest.raises(PriemoError, match="ssim_floor"):
        parse({**BASE, "ssim_floor": text}).check()
    assert process_time() - start < 0.5


def test_a_limit_has_a_folder_of_its_own(tmp_path: Path) -> None:
    whole = load("default")
    assert default_folder("default", whole) == Path("runs/default")
    small, again = (load("default", limit=10, attacks=("noise",)) for _ in range(2))
    folder = default_folder("default", small)
    assert folder == default_folder("default", again)
    assert fullmatch("default-[0-9a-f]{8}", folder.name)
    assert folder.parent == Path("runs")
    others = [load("default", limit=11), load("default", eps="4/255"), load("default", seeds=(1,))]
    assert len({folder, *(default_folder("default", other) for other in others)}) == 4

    own = write(tmp_path / "own.toml", f"name = 'own'\n{whole.to_toml().split(chr(10), 1)[1]}")
    assert default_folder(own, load(own)) == Path("runs/own")
    assert default_folder(own, load(own, limit=3)) != Path("runs/own")
    edited = write(tmp_path / "mine.toml", small.to_toml())  # still called "default"
    assert default_folder(edited, load(edited)) == folder
    assert default_folder(None, parse({**BASE, "name": "python"})) == Path("runs/python")


def test_a_file_that_overrides_complete(tmp_path: Path) -> None:
    path = write(tmp_path / "a.toml", '[[datasets]]\nname = "toys"\n[[attacks]]\nname = "noise"\n')
    assert default_folder(path, load(path, victims=("toy-a",))).name.startswith("custom-")


def test_what_differs() -> None:
    one = parse({**BASE, "defenses": ["none", "blur"], "seeds": [0, 1]})
    alike = {
        "attacks": BASE["attacks"][::-1], "victims": ["toy-b", "toy-a"], "name": "other",
        "versions": {"torch": "2"}, "defenses": ["blur", "none"], "seeds": [0, 1],
    }  # fmt: skip
    assert same_run(one, parse({**BASE, **alike}))
    assert differences(one, parse({**BASE, **alike})) == ""
    for change, said in [
        ({"datasets": [{"name": "toys", "limit": 5}]}, "limit of toys"),
        ({"datasets": [{"name": "rendered"}]}, "datasets"),
        ({"attacks": [{"name": "pgd", "label": "PGD", "params": {"a": 1}}, {"name": "nothing"}]},
         "params of PGD"),
        ({"attacks": [{"name": "nothing"}], "eps": "1/255"}, "eps, attacks"),
        ({"seeds": [1, 0]}, "seeds"),
    ]:  # fmt: skip
        other = parse({**BASE, "defenses": ["none", "blur"], "seeds": [0, 1], **change})
        assert not same_run(one, other)
        assert differences(one, other) == said


def test_victims_restrict_surrogates() -> None:
    def surrogates(name: str, *victims: str) -> tuple[Any, list[str]]:
        spec = load(name, victims=victims)
        return spec.surrogates, spec.outside_surrogates

    assert surrogates("default", "vgg", "repvgg", "pvt") == (("vgg", "repvgg"), [])
    assert load("default", victims=("vgg",)).all_surrogates == ["vgg"]
    assert surrogates("unseen", "resnet", "networkv2") == (("resnet",), [])
    left_out = ("resnet", "vgg")  # the surrogates of a victim may not be itself
    assert surrogates("transfer", *left_out) == (("vgg", "resnet"), [])
    others = load("transfer").surrogates[1]  # without resnet
    assert surrogates("transfer", "resnet") == ((others,), list(others))
    assert load("unseen").outside_surrogates == list(load("unseen").all_surrogates)
    chosen = load("default", victims=("botnet",), surrogates=("resnet",))
    assert (chosen.all_surrogates, chosen.outside_surrogates) == (["resnet"], ["resnet"])
    evaluation_only = load("default", victims=("botnet", "pvt"))
    assert evaluation_only.outside_surrogates == ["resnet", "vgg", "repvgg"]


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
        ({"attacks": [{"name": "pdg"}]}, "'pdg'; did you mean .*pgd"),
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
        ({"eps": "1e99999999"}, "eps is '1e99999999'"),
        ({"ssim_floor": float("inf")}, "ssim_floor is inf"),
        ({"psnr_floor": "nan"}, "psnr_floor is 'nan'"),
        ({"eps": True}, "eps is True"),
        ({"seeds": [0, 0]}, "give each once"),
        ({"seeds": [-1]}, "seeds.0 is -1"),
        ({"seeds": [2**32]}, "seeds.0 is 4294967296"),
        ({"seeds": [1.5]}, "seeds.0 is 1.5"),
        ({"seeds": []}, "seeds is"),
        ({"eps_grid": []}, "eps_grid is"),
        ({"surrogates": [[]]}, "surrogates.0"),
        ({"datasets": [{"name": "toys", "limit": True}]}, "limit is True"),
        ({"datasets": [{"name": "toys", "size": 10}]}, "size is 10.* 11"),
        ({"attacks": [{"name": "pgd", "targets": []}]}, "targets is"),
        ({"attacks": [{"name": "pgd", "budgets": []}]}, "budgets is"),
        ({"attacks": [{"name": "pgd", "eps_grid": []}]}, "eps_grid is"),
        ({"attacks": [{"name": "pgd", "params": {"day": date(2026, 1, 2)}}]}, "params hold"),
        ({"name": ""}, "name is ''"),
        ({"name": " "}, "name is ' '"),
        ({"name": "../../evil"}, "no slash"),
        ({"name": "a\\b"}, "no slash"),
        ({"name": ".hidden"}, "not a dot"),
        ({"name": "two\nlines"}, "no control character"),
        ({"name": "ä" * 51}, "100 bytes"),
    ],
)
def test_mistakes_are_one_sentence(change: dict[str, Any], said: str) -> None:
    with pytest.raises(PriemoError, match=said) as error:
        parse({**BASE, **change})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("other", [{"params": {"max_iter": 3}}, {"limit": 5}, {"name": "noise"}])
def test_two_attacks_of_one_label(other: dict[str, Any]) -> None:
    one = {"name": "pgd", "label": "PGD", "surrogates": ["toy-a"]}
    with pytest.raises(
        PriemoError, match=f"called 'PGD' and differ in {next(iter(other))}; .* label"
    ):
        parse({**BASE, "attacks": [one, {**one, **other}]})
    for apart in (
        {"label": "another"},
        {"surrogates": ["toy-b"]},
        {"targets": ["happy"]},
        {"seeds": [1]},
    ):
        assert parse({**BASE, "attacks": [one, {**one, **other, **apart}]})
    assert parse({**BASE, "attacks": [one, one]})


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
    """Fewer only where each step is a pass for each filter, or for each of many surrogates."""
    spec = load(name)
    own = [attack for attack in spec.attacks if attack.select_limit]
    limits = [a.select_limit for a in own if "filters" not in a.params]
    least = 30 if name in ("unseen", "passes", "transfer") else 100
    assert min(limit for limit in (spec.select_limit, *limits) if limit) >= least
    assert all(a.select_limit >= 20 for a in own)
