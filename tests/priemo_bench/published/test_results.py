"""Published tables come with what strangers handed in, and with what lowers an entry."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from priemo_bench import cli, load_perturbation, load_results
from priemo_bench.errors import PriemoError
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.published.checking import stated
from priemo_bench.published.perturbations import LIST, SHIPPED, perturbations
from priemo_bench.published.results import reports_folder, submitted
from priemo_bench.published.submission import Submission
from priemo_bench.report import write_overview

NAME = "priemo-bench-rendered-v1"


@pytest.fixture
def reports(run: Path, handed_in: Path, tmp_path: Path) -> Path:
    """The run as the project's own page, and a submission beside it."""
    place = tmp_path / "reports"
    (place / "default").mkdir(parents=True)
    shutil.copy(run / "results.parquet", place / "default")
    (place / "pages.toml").write_text("")
    (place / "submissions").mkdir()
    shutil.copy(handed_in, place / "submissions")
    return place


def lowered(made: Submission) -> Submission:
    """The entry `pgd`, behind a filter of its surrogate that undoes three of four protections."""
    entries = []
    for entry in made.entries:
        if entry.attack != "pgd":
            continue
        undefended = next(
            r for r in entry.readings if r.victim == entry.surrogate and r.defense == "none"
        )
        undone = [
            "".join(label if k % 4 else after for k, (label, after) in
                    enumerate(zip(made.pictures.labels, seed, strict=True)))
            for seed in undefended.published
        ]  # fmt: skip
        filtered = undefended.model_copy(update={"defense": "mine", "published": tuple(undone)})
        entries.append(entry.model_copy(update={"readings": (undefended, filtered)}))
    again = made.model_copy(
        update={"name": "lift", "reevaluates": "pgd", "entries": tuple(entries)}
    )
    return again.model_copy(update={"methods": tuple(stated(Tables(again.rows())))})


def test_the_overview_has_it_as_text_and_with_its_links(reports: Path, made: Submission) -> None:
    (reports / "pages.toml").write_text("[[pages]]\nname = 'default'\nshows = 'the main job'\n")
    hostile = made.model_copy(update={"authors": ("<script>hacked()</script>",)})
    (reports / "submissions" / "two-attacks.json").write_text(hostile.model_dump_json())
    text = write_overview(reports, submitted(reports)).read_text("utf-8")
    card = text[text.index('id="submitted-two-attacks"') :]
    assert 'href="submissions/two-attacks.json"' in card
    assert 'href="https://example.org/code"' in card
    assert "&lt;script&gt;hacked" in card
    assert "<script>hacked" not in text
    first = [line for line in made.methods if line.budget == made.methods[0].budget]
    best = max(line.protection_rate or 0 for line in first if not line.targeted)
    assert f"<td>{100 * best:.1f} [" in card
    assert "Submitted results" not in write_overview(reports).read_text("utf-8")


def test_a_submission_stands_beside_the_page(reports: Path) -> None:
    table = load_results(NAME, folder=reports)
    assert set(table["entry"]) == {"priemo-bench", "two-attacks"}
    both = table[(table["attack"] == "pgd") & (table["budget"] == "equal")]
    assert both["protection_rate"].nunique() == 1
    assert both.set_index("entry").loc["two-attacks", "authors"] == "A. Person, B. Person"
    assert table["external_rate"].isna().all()
    assert table.attrs["notes"] == []
    assert set(table.attrs["columns"]) == set(table)
    assert table.attrs["columns"]["external_rate"]["unit"] == "share from 0 to 1"


def test_an_evaluation_by_others_lowers_the_entry(reports: Path, made: Submission) -> None:
    again = lowered(made)
    again.write(reports / "submissions/lift.json")
    table = load_results(NAME, folder=reports)
    found = table[table["external_by"] == "lift"]
    assert set(found["entry"]) == {"priemo-bench"}
    assert set(found["attack"]) == {"pgd"}
    assert (found["external_rate"] < found["protection_rate"]).all()
    assert set(found["external_under"]) == {"mine"}
    entry = next(e for e in again.entries if e.budget == "equal")
    reading = next(r for r in entry.readings if r.defense == "mine")
    labels = again.pictures.labels
    right = [k for k, label in enumerate(labels) if reading.clean[k] == label]
    protected = [seed[k] != labels[k] for seed in reading.published for k in right]
    rate = sum(protected) / len(protected)
    (shown,) = found.loc[found["budget"] == "equal", "external_rate"]
    assert shown == pytest.approx(rate)


def test_an_evaluation_of_no_entry_is_said(reports: Path, made: Submission) -> None:
    again = lowered(made).model_copy(update={"reevaluates": "somebody/pgd"})
    again.write(reports / "submissions/lift.json")
    table = load_results(NAME, folder=reports)
    assert table.attrs["notes"] == ["lift evaluates somebody/pgd again, which is no entry"]
    assert table["external_rate"].isna().all()


def test_a_wrong_submission_is_not_shown(reports: Path, handed_in: Path) -> None:
    values = json.loads(handed_in.read_text("utf-8"))
    values["methods"][0]["protection_rate"] = 1.0
    (reports / "submissions/two-attacks.json").write_text(json.dumps(values))
    with pytest.raises(PriemoError, match="protection_rate of"):
        load_results(NAME, folder=reports)


def test_pages_are_loaded_by_name(reports: Path) -> None:
    assert set(load_results("default", "transfer", reports)["victim"]) >= {"resnet", "vgg"}
    with pytest.raises(PriemoError, match="did you mean default"):
        load_results("defaults", folder=reports)
    with pytest.raises(PriemoError, match="no table is called"):
        load_results("default", "nothing", reports)


def test_without_published_results_it_is_said_where_they_are(tmp_path: Path) -> None:
    with pytest.raises(PriemoError, match="PRIEMO_REPORTS"):
        load_results(NAME, folder=tmp_path)


def test_the_folder_is_named_by_the_environment(
    reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRIEMO_REPORTS", str(reports))
    assert reports_folder() == reports
    assert reports_folder(reports) == reports
    monkeypatch.setenv("PRIEMO_REPORTS", str(reports / "nowhere"))
    with pytest.raises(PriemoError, match="nowhere"):
        reports_folder()


@pytest.mark.parametrize("name", perturbations())
def test_a_published_perturbation_applies(name: str) -> None:
    attack = load_perturbation(name)
    assert attack.noise is not None
    x = np.random.default_rng(0).integers(50, 200, (2, 1, 48, 48)) / np.float32(255)
    protected = attack.apply(x)
    assert protected.shape == x.shape
    assert 0 < abs(protected - x).max() <= 32 / 255 + 1e-6


def test_another_file_is_not_the_published_one(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path, dirs_exist_ok=True)
    (name, *_) = perturbations(tmp_path)
    file = tmp_path / perturbations(tmp_path)[name].file
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(PriemoError, match="not the file that was published"):
        load_perturbation(name, tmp_path)
    file.unlink()
    with pytest.raises(PriemoError, match="cannot be read"):
        load_perturbation(name, tmp_path)
    (tmp_path / LIST).write_text("[x]\nfile = '../../etc/passwd'\n")
    with pytest.raises(PriemoError, match="file is"):
        load_perturbation("x", tmp_path)


def test_every_shipped_file_is_listed() -> None:
    listed = {own.file for own in perturbations().values()}
    assert listed == {file.name for file in SHIPPED.glob("*.safetensors")}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [("priemo-clas-fer2013-v1", "did you mean"), ("x.safetensors", "does not exist")],
)
def test_protect_takes_the_name_of_a_perturbation(
    given: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["priemo-bench", "protect", "face.png", "--with", given])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
