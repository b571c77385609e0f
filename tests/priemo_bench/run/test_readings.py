"""Published images go out as PNG files, and the answers to them come back as a victim."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from priemo_bench import registry
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.readings import digest_of
from priemo_bench.errors import PriemoError
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.run.export import export_images, exported
from priemo_bench.run.folder import claimed
from priemo_bench.run.readings import take_answers
from priemo_bench.run.schedule import Workers
from priemo_bench.run.session import Session
from priemo_bench.run.spec import Spec, load

ATTACKS = ({"name": "noise", "budgets": ["equal"]}, "blur")
Line = dict[str, Any]


@pytest.fixture(autouse=True)
def _own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that a test gives end with it."""
    monkeypatch.setattr(registry, "_OWN", {})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run, two attacks of which were exported to `images` beside it."""
    out = tmp_path_factory.mktemp("readings") / "run"
    done(load("default", victims=("resnet",), attacks=ATTACKS, limit=7), out, out)
    export_images(out, out.parent / "images", mode="quiet")
    return out


def done(spec: Spec, out: Path, store: Path) -> Tables:
    """Tables of a run of `spec`, without its page."""
    with claimed(out, spec, overwrite=True):
        session = Session(spec.check(), out, store, Workers(), "cpu")
        session.run("quiet")
    assert session.is_finished
    return Tables(session.rows(""))


def lines(run: Path) -> list[Line]:
    with (run.parent / "images" / "images.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def answer(run: Path, path: Path, label: Callable[[Line], str], **changes: Any) -> Path:
    """Answers to every image: by `label` of the first line that it stands in."""
    first: dict[str, Line] = {}
    for line in lines(run):
        first.setdefault(line["image"], line)
    rows = [[image, label(line)] for image, line in first.items()]
    for change in changes.get("rows", ()):
        change(rows)
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(changes.get("header", ["image", "label"]))
        table.writerows(rows)
    return path


def test_images_are_those_that_were_published(run: Path) -> None:
    found = lines(run)
    folder = run.parent / "images"
    known = {line["image"]: line["pixels"] for line in exported(run)}
    assert {line["image"] for line in found} == known.keys()
    for name, digest in known.items():
        pixels = np.asarray(Image.open(folder / name))
        assert digest_of(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)) == digest
    kinds = pd.DataFrame(found).groupby(["kind", "attack", "budget"]).size()
    assert kinds["clean"].tolist() == [7]
    assert kinds["protected"].sum() == 7 * len(list((run / "cells").glob("*.images.npz")))
    assert not any(emotion in line["image"] for line in found for emotion in EMOTIONS)


def test_exporting_again_writes_nothing_twice(run: Path) -> None:
    folder = run.parent / "images"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    export_images(run, folder, ("blur",), mode="quiet")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")} == before
    assert {line["attack"] for line in lines(run)} == {"", "blur"}
    export_images(run, folder, mode="quiet")


def test_answers_become_a_victim(run: Path, tmp_path: Path) -> None:
    """One that answers blurred images with "happy": its rate is known."""
    answers = answer(
        run, tmp_path / "a.csv", lambda x: "joy" if x["attack"] == "blur" else x["emotion"]
    )
    answered = take_answers(run, answers, "api")
    assert answered.out == run
    assert not answered.left_out
    cells = {path: path.stat().st_mtime_ns for path in (run / "cells").glob("*.images.npz")}
    results = done(answered.spec, run, run)
    assert {p: p.stat().st_mtime_ns for p in (run / "cells").glob("*.images.npz")} == cells
    rows = results.rows.frame
    own = rows[rows["victim"] == "api"]
    assert (own["clean"] == own["label"]).all()
    assert set(own["defense"]) == {"none"}
    transfer = results.transfer().query("victim == 'api'").set_index(["attack", "budget"])
    not_happy = float(np.mean([line["emotion"] != "happy" for line in lines(run)
                               if line["kind"] == "clean"]))  # fmt: skip
    assert transfer.loc[("blur", "conventional"), "protection_rate"] == pytest.approx(not_happy)
    assert transfer.loc[("noise", "equal"), "protection_rate"] == 0
    assert results.failures().empty
    equal = results.leaderboard().query("attack == 'noise' and budget == 'equal'")
    assert equal["survival"].notna().all()  # of the victims that were shown filtered images


def test_answers_to_some_attacks_get_a_folder_of_their_own(run: Path, tmp_path: Path) -> None:
    (run / "readings" / "images.csv").unlink()
    export_images(run, run.parent / "images", ("blur",), mode="quiet")
    answered = take_answers(run, answer(run, tmp_path / "a.csv", lambda x: x["emotion"]), "part")
    assert answered.left_out == ("noise",)
    assert answered.out == run / "readings" / "part"
    rows = done(answered.spec, answered.out, run).rows.frame
    assert set(rows["attack"]) == {"blur"}
    assert set(rows["victim"]) >= {"part"}
    export_images(run, run.parent / "images", mode="quiet")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rows": [lambda r: r.pop()]}, "has no answer to 1 of .* images, such as"),
        ({"rows": [lambda r: r.append(r[0])]}, "line .*: clean-.* is answered already, in line 2"),
        ({"rows": [lambda r: r.append(["x.png", "sad"])]}, "no image was exported as 'x.png'"),
        ({"rows": [lambda r: r[0].__setitem__(1, "calm")]}, "line 2: the label 'calm' is none of"),
        ({"rows": [lambda r: r[0].__setitem__(1, "")]}, "line 2: the label '' is none of"),
        ({"header": ["file", "label"]}, "has no column 'image'; its first line must be image,lab"),
        ({"header": ["image"]}, "has no column 'label'"),
    ],
    ids=["missing", "doubled", "unknown", "other", "empty", "column", "columns"],
)
def test_wrong_answers_are_one_sentence(
    changes: dict[str, Any], sentence: str, run: Path, tmp_path: Path
) -> None:
    answers = answer(run, tmp_path / "a.csv", lambda x: x["emotion"], **changes)
    refused(sentence, run, answers, "other")
    assert not (run / "readings" / "other.toml").exists()


def refused(sentence: str, run: Path, answers: Path, name: str) -> None:
    with pytest.raises(PriemoError, match=sentence) as error:
        take_answers(run, answers, name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("resnet", "is there already"),
        ("../evil", "cannot be called so"),
        ("..", "cannot be called so"),
        ("", "cannot be called so"),
    ],
)
def test_names_that_no_victim_can_have(name: str, sentence: str, run: Path, tmp_path: Path) -> None:
    answers = answer(run, tmp_path / "a.csv", lambda x: x["emotion"])
    refused(sentence, run, answers, name)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"\x00" * 9], ids=["bytes", "empty", "zero"])
def test_files_that_are_no_answers(content: bytes, run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    refused("cannot be read|has no column|is no csv", run, tmp_path / "a.csv", "other")
    refused("cannot be read", run, tmp_path / "no.csv", "other")


def test_answers_with_a_mark_and_longer_paths(run: Path, tmp_path: Path) -> None:
    """As spreadsheets write them, and as a script names the files that it opened."""
    answers = answer(run, tmp_path / "a.csv", lambda x: x["emotion"].upper())
    text = re.sub(r"(?m)^(?=\w+-)", "/somewhere/images/", answers.read_text())
    answers.write_bytes("\ufeff".encode() + text.encode())
    assert take_answers(run, answers, "spreadsheet").out == run


def test_runs_that_cannot_be_exported(run: Path, tmp_path: Path) -> None:
    with pytest.raises(PriemoError, match="holds no run"):
        export_images(tmp_path / "no", tmp_path / "out", mode="quiet")
    with pytest.raises(PriemoError, match="no attack is called 'nois'; did you mean noise"):
        export_images(run, tmp_path / "out", ("nois",), mode="quiet")
    (tmp_path / "file").touch()
    with pytest.raises(PriemoError, match="file cannot be written"):
        export_images(run, tmp_path / "file", mode="quiet")
    with pytest.raises(PriemoError, match=r"nothing of .* was exported; run priemo-bench export"):
        take_answers(tmp_path, tmp_path / "a.csv", "api")


def test_a_cell_without_images_is_told(run: Path, tmp_path: Path) -> None:
    image = next((run / "cells").glob("*.images.npz"))
    whole = image.read_bytes()
    image.unlink()
    try:
        with pytest.raises(PriemoError, match=r"has no images of 1 of \d cells, such as .* again"):
            export_images(run, tmp_path / "out", mode="quiet")
    finally:
        image.write_bytes(whole)
