"""A whole study of toys: what is found, what is kept, what fails, what is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from priemo_bench.adversaries.cases import Finding
from priemo_bench.adversaries.front import Adversaries, to_toml
from priemo_bench.adversaries.session import Session, restored, save
from priemo_bench.adversaries.study import Study, load
from priemo_bench.adversaries.table import COLUMNS
from priemo_bench.adversaries.units import units
from priemo_bench.errors import PriemoError
from priemo_bench.run.store import Store


@pytest.fixture
def found(study: Study, out: Path) -> tuple[pd.DataFrame, Adversaries]:
    own = Adversaries(study, out=out)
    return own.run("quiet"), own


def test_every_adversary_finds_something(found: tuple[pd.DataFrame, Adversaries]) -> None:
    table, own = found
    assert own.failures == {}
    assert list(table) == list(COLUMNS)
    assert set(table["adversary"]) == {
        "none", "newer model", "cost", "average, plain", "average, Wiener", "leak",
        "train from scratch", "fine-tune", "purifier", "purifier, expected",
        "detector, squeezing", "detector, residual", "detector, learned",
    }  # fmt: skip
    assert set(table["threat"]) == {"oblivious", "aware", "adaptive", "informed"}
    rates = table[["protection", "protection_after", "accuracy_after", "clean_accuracy"]]
    assert rates.stack().dropna().between(0, 1).all()
    known = table[table["n"] > 0]
    assert (known["protection_low"] <= known["protection"]).all()
    # 5,000 pairs are more than are seen; 10 come from the other attack, 20 from itself
    purifier = table[table["adversary"] == "purifier"]
    assert purifier["strength"].tolist() == [20, 10]
    assert purifier["given"].str.contains("another attack").tolist() == [False, True]


def test_a_leaked_universal_perturbation_is_undone(
    found: tuple[pd.DataFrame, Adversaries],
) -> None:
    table, _ = found
    leak = table[table["adversary"] == "leak"].iloc[0]
    assert leak["protection"] > 0.3
    assert leak["protection_after"] == 0
    assert leak["ssim_to_clean"] > 0.8


def test_the_page_and_its_files(found: tuple[pd.DataFrame, Adversaries]) -> None:
    table, own = found
    page = (own.out / "README.md").read_text("utf-8")
    html = (own.out / "index.html").read_text("utf-8")
    for text in (page, html):
        assert "Averaging" in text
        assert "what is left of protection" in text
    stored = pd.read_csv(own.out / "adversaries.csv")
    assert len(stored) == len(table)
    for name in ("averaging", "pairs", "shares"):
        assert (own.out / "figures" / f"{name}.png").stat().st_size
        assert (own.out / "figures" / f"{name}.svg").stat().st_size
        assert f"figures/{name}.png" in html
    facts = json.loads((own.out / "facts.json").read_text("utf-8"))
    assert facts["data"]["test"] == 14
    assert (own.out / "study.toml").read_text("utf-8") == facts["study"]


def test_nothing_is_done_twice_and_only_what_is_damaged_again(
    found: tuple[pd.DataFrame, Adversaries], monkeypatch: pytest.MonkeyPatch
) -> None:
    table, own = found
    assert Adversaries(own.study, out=own.out).stale() == []
    done: list[str] = []
    before = Session._do
    monkeypatch.setattr(
        Session, "_do", lambda self, unit: (done.append(unit.title), before(self, unit))
    )
    again = Adversaries(own.study, out=own.out).run("quiet")
    assert done == []
    pd.testing.assert_frame_equal(table, again)
    session = Session(own.study, own.out)
    key = session.keys["shared, SSIM 0.3: leak"]
    (own.out / "cells" / f"{key}.json").write_text("{}")
    Adversaries(own.study, out=own.out).run("quiet")
    assert done == ["shared, SSIM 0.3: leak"]


def test_other_settings_touch_only_their_adversary(
    found: tuple[pd.DataFrame, Adversaries], values: dict[str, Any]
) -> None:
    _, own = found
    other = Study(**{**values, "averaging": {"amounts": [1, 2]}})
    assert [unit.title for unit in Session(other, own.out).open] == ["shared, SSIM 0.3: averaging"]
    assert Adversaries(other, out=own.out).stale() == ["its study"]


def test_a_unit_that_fails_stops_none_and_is_tried_again(
    study: Study, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attack = study.attacks[0].model_copy(update={"purified_from": ()})
    few = study.model_copy(update={"attacks": (attack,)})
    monkeypatch.setattr("priemo_bench.adversaries.leaks.undo", lambda *_: 1 / 0)
    own = Adversaries(few, out=out)
    table = own.run("quiet")
    assert own.failures == {"shared, SSIM 0.3: leak": "ZeroDivisionError: division by zero"}
    assert "leak" not in set(table["adversary"])
    assert "division by zero" in (out / "README.md").read_text("utf-8")
    assert Adversaries(few, out=out).stale() == ["failed: shared, SSIM 0.3: leak"]
    monkeypatch.undo()


def test_findings_come_back_as_they_were(tmp_path: Path) -> None:
    classes = np.array([0, 3, 6])
    flags = np.array([True, False, True])
    one = Finding(
        "leak", "informed", "all", float("nan"), "v", classes, classes[::-1], classes, classes,
        flags, {"ssim": 0.5},
    )  # fmt: skip
    store = Store(tmp_path)
    save(store, "k", [one])
    (again,) = restored(store, "k")
    for name in ("clean", "before", "flagged"):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
    assert (again.adversary, again.facts) == ("leak", {"ssim": 0.5})
    assert np.isnan(again.strength)
    assert restored(store, "other") == []


def test_a_study_reads_back(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(to_toml(study))
    assert load(path) == study
    assert load(path, limit=3).dataset.limit == 3


def test_the_bundled_study_is_right() -> None:
    study = load()
    titles = [unit.title for unit in units(study)]
    assert len(set(titles)) == len(titles)
    assert study.dataset.limit == 150


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"victims": ["toy-x"]}, "no victim is called 'toy-x'"),
        ({"averaging": {"amounts": [0]}}, "averaging.amounts.0 is 0"),
        ({"avenging": 1}, "did you mean averaging"),
        ({"attacks": [{"name": "shared", "adversaries": ["average"]}]}, "adversaries.0 is"),
        ({"attacks": [{"name": "shared"}] * 2}, "one label and floor"),
        ({"attacks": [{"name": "shared", "purified_from": ["gradinet"]}]}, "no attack is called"),
    ],
)
def test_mistakes_are_sentences(
    study: Study, tmp_path: Path, values: dict[str, Any], change: dict[str, Any], reason: str
) -> None:
    import tomli_w

    path = tmp_path / "s.toml"
    path.write_text(tomli_w.dumps({**values, **change}))
    with pytest.raises(PriemoError, match=reason):
        load(path)


def test_files_that_are_no_studies(tmp_path: Path) -> None:
    with pytest.raises(PriemoError, match="known: study"):
        load("nonsense")
    with pytest.raises(PriemoError, match="does not exist"):
        load(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("[[")
    with pytest.raises(PriemoError, match="is not TOML"):
        load(tmp_path / "bad.toml")
    with pytest.raises(PriemoError, match="jobs is 0"):
        Adversaries(jobs=0)
