"""A file that a stranger hands in says what its readings say, or is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from priemo_bench.contracts.rows import Rows
from priemo_bench.errors import PriemoError
from priemo_bench.judge.leaderboard import Tables
from priemo_bench.published.checking import check
from priemo_bench.published.results import reports_folder, submissions
from priemo_bench.published.submission import SCHEMA, Submission, schema
from priemo_bench.published.submitting import submit, what_next

RATES = ["protection_rate", "protection_low", "protection_high", "transfer_rate", "ssim", "psnr"]


def test_every_submission_of_the_repository_is_right() -> None:
    for made in submissions(reports_folder()):
        assert made.name


def test_its_tables_are_those_of_the_run(run: Path, made: Submission) -> None:
    by = ["budget", "attack"]
    full = Tables(Rows.load(run / "results.parquet")).methods().sort_values(by)
    own = Tables(made.rows()).methods().sort_values(by)
    for name in RATES:
        np.testing.assert_allclose(own[name], full[name], atol=1e-6, err_msg=name)


def test_a_rate_counted_from_the_text_of_the_file(made: Submission) -> None:
    """Without any code of the judge: pgd on resnet, equal SSIM."""
    entry = next(e for e in made.entries if e.attack == "pgd" and e.budget == "equal")
    reading = next(r for r in entry.readings if r.victim == entry.surrogate and r.defense == "none")
    right = [k for k, label in enumerate(made.pictures.labels) if reading.clean[k] == label]
    protected = [seed[k] != made.pictures.labels[k] for seed in reading.published for k in right]
    rate = sum(protected) / len(protected)
    line = next(m for m in made.methods if m.attack == "pgd" and m.budget == "equal")
    assert line.protection_rate == pytest.approx(rate, abs=1e-6)


def test_the_schema_is_that_of_the_code_and_holds(handed_in: Path) -> None:
    import priemo_bench.published as package

    text = (Path(package.__file__).parent / SCHEMA).read_text("utf-8")
    assert text == schema()
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(json.loads(text))
    values = json.loads(handed_in.read_text("utf-8"))
    validator.validate(values)
    assert list(validator.iter_errors({**values, "link": "ftp://example.org"}))


def changed(handed_in: Path, **changes: Any) -> Submission:
    values = json.loads(handed_in.read_text("utf-8"))
    for path, value in changes.items():
        *inner, last = path.split("__")
        place = values
        for key in inner:
            place = place[int(key) if key.isdigit() else key]
        place[int(last) if last.isdigit() else last] = value
    handed_in = handed_in.with_name("changed.json")
    handed_in.write_text(json.dumps(values), "utf-8")
    return Submission.read(handed_in)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"methods__0__protection_rate": 0.99}, "protection_rate of .* is said to be 0.99"),
        ({"methods__0__protection_high": 0.999}, "protection_high of"),
        ({"methods__0__transfer_rate": None}, "transfer_rate of"),
        ({"methods__0__within_budget": False}, "within_budget of"),
        ({"methods__0__attack": "other"}, "not of the methods"),
        ({"pictures__pixels__0": "00000000"}, "pictures are not the 105"),
        ({"benchmark": "priemo-bench-fer2013-v1"}, "pictures are not the 200"),
        ({"benchmark": "priemo-bench-x-v1"}, "no benchmark is called"),
        ({"entries__0__readings__0__victim": "mine"}, "mine is no victim of"),
        ({"reevaluates": "priemo-image"}, "has no entry of that name"),
        ({"entries__0__budget": "equal-0.5"}, "no budget equal-0.5"),
    ],
)
def test_what_the_readings_do_not_say_is_refused(
    handed_in: Path, changes: dict[str, Any], sentence: str
) -> None:
    made = changed(handed_in, **changes)
    with pytest.raises(PriemoError, match=sentence):
        check(made)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"methods__0__protection_rate": 1.5}, "less than or equal to 1"),
        ({"pictures__labels": "01"}, "pictures do not have 105"),
        ({"entries__0__readings__0__clean": "0123"}, "readings"),
        ({"entries__0__readings__0__clean": "9" * 105}, "pattern"),
        ({"entries__0__seeds": [0, 0]}, "seeds"),
        ({"entries__0__measures__ssim": [[0.5]]}, "measure"),
        ({"link": "https://x.org/<script>"}, "link is"),
        ({"authors": []}, "authors"),
        ({"format": 2}, "format"),
        ({"extra": 1}, "extra"),
    ],
)
def test_another_shape_is_refused_in_a_sentence(
    handed_in: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(PriemoError, match=sentence):
        changed(handed_in, **changes)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"format": NaN}', "\x00"])
def test_what_is_no_submission_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text, "utf-8")
    with pytest.raises(PriemoError, match=r"x\.json"):
        Submission.read(tmp_path / "x.json")


def test_attacks_on_fewer_pictures_cannot_be_handed_in(run: Path, tmp_path: Path) -> None:
    who: dict[str, Any] = {"name": "one", "authors": ("A.",), "link": "https://example.org"}
    rows = Rows.load(run / "results.parquet")
    first = rows.frame["image"].iloc[0]
    fewer = rows.frame[(rows.frame["attack"] != "pgd") | (rows.frame["image"] != first)]
    Rows(fewer.reset_index(drop=True), rows.facts).save(tmp_path / "run/results.parquet")
    out = tmp_path / "out"
    with pytest.raises(PriemoError, match="did not protect all 105 pictures"):
        submit(tmp_path / "run", out, **who, attacks=("pgd",))
    with pytest.raises(PriemoError, match="did you mean noise"):
        submit(tmp_path / "run", out, **who, attacks=("noisy",))
    assert not out.exists()
    made = submit(tmp_path / "run", out, **who)
    assert {entry.attack for entry in made.entries} == {"noise"}


def test_a_file_is_never_written_over(run: Path, handed_in: Path) -> None:
    with pytest.raises(PriemoError, match="is there already"):
        submit(run, handed_in.parent, name="two-attacks", authors=("A.",), link="https://a.org")


def test_what_to_do_next_is_said(made: Submission) -> None:
    text = what_next(made, Path("x") / "two-attacks.json")
    for part in ("reports/submissions/two-attacks.json", "pull request", "https://example.org"):
        assert part in text


def test_rows_keep_every_reading(made: Submission) -> None:
    frame = made.rows().frame
    readings = sum(len(e.readings) * len(e.seeds) for e in made.entries)
    assert len(frame) == readings * len(made.pictures.ids)
    assert not frame.duplicated([*made.rows().frame.columns[-8:], "seed", "image", "victim",
                                 "defense"]).any()  # fmt: skip
    assert isinstance(frame, pd.DataFrame)
