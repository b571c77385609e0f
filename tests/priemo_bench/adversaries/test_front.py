"""The command, and a study among the published pages."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from priemo_bench import cli
from priemo_bench.adversaries.front import Adversaries, to_toml
from priemo_bench.adversaries.session import Session
from priemo_bench.adversaries.study import Study
from priemo_bench.republish import Pages, republish

LIST = """
[[pages]]
name = "toys"
command = ["adversaries", "STUDY", "--limit", "7"]
shows = "a study"
"""


@pytest.fixture
def short(study: Study, tmp_path: Path) -> Path:
    """A study of one attack and two adversaries."""
    attack = study.attacks[0].model_copy(
        update={"adversaries": ("reading", "averaging"), "purified_from": ()}
    )
    path = tmp_path / "short.toml"
    path.write_text(to_toml(study.model_copy(update={"attacks": (attack,)})))
    return path


def run(*words: object) -> Any:
    return CliRunner().invoke(cli.app, list(map(str, words)))


def test_the_command_and_its_page_again(
    short: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run("adversaries", short, "--limit", 7, "--out", out, "--json")
    assert done.exit_code == 0
    assert str(out / "README.md") in done.stdout
    assert '"event": "done"' in done.stderr
    page = (out / "README.md").read_text("utf-8")
    assert "7 of 28 test faces of toys" in page
    (out / "README.md").unlink()
    assert run("report", out).exit_code == 0
    assert (out / "README.md").read_text("utf-8") == page


def test_a_failure_is_told_and_the_exit_code_1(
    short: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("priemo_bench.adversaries.averaging.subtract", lambda *_: 1 / 0)
    done = run("adversaries", short, "--out", out, "--quiet")
    assert done.exit_code == 1
    assert "averaging: ZeroDivisionError" in done.stderr


def test_an_interrupted_study_has_a_page_and_goes_on(
    short: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Session._do

    def stop(self: Session, unit: Any) -> None:
        if unit.adversary == "averaging":
            signal.raise_signal(signal.SIGINT)
        before(self, unit)

    monkeypatch.setattr(Session, "_do", stop)
    assert run("adversaries", short, "--out", out, "--quiet").exit_code == 130
    assert "averaging: not done yet" in (out / "README.md").read_text("utf-8")
    monkeypatch.setattr(Session, "_do", before)
    assert run("adversaries", short, "--out", out, "--quiet").exit_code == 0
    assert "not done yet" not in (out / "README.md").read_text("utf-8")


def test_a_second_study_in_the_same_folder_waits(short: Path, out: Path) -> None:
    from priemo_bench.adversaries.session import claimed

    with claimed(out):
        done = run("adversaries", short, "--out", out)
    assert "another study is writing" in str(done.exception)


def test_a_study_is_a_published_page(short: Path, tmp_path: Path) -> None:
    path = tmp_path / "reports" / "pages.toml"
    path.parent.mkdir()
    path.write_text(LIST.replace("STUDY", str(short)))
    said: list[str] = []
    assert "not made yet" in Pages.load(path).index()
    assert republish(path, say=said.append)
    assert said[0] == "toys: stale: all of it; making it anew"
    assert (
        "[toys](toys/README.md) | a study | 7 of 28 toys | `toy-a`; evaluation-only: `toy-b`"
        in (path.parent / "README.md").read_text("utf-8")
    )
    said.clear()
    assert republish(path, say=said.append)
    assert said == ["toys: current"]

    facts = path.parent / "toys" / "facts.json"
    known = json.loads(facts.read_text("utf-8"))
    known["code"]["page"] = "0"
    facts.write_text(json.dumps(known))
    (path.parent / "toys" / "cells").rename(tmp_path / "elsewhere")  # the table is enough
    said.clear()
    assert republish(path, say=said.append)
    assert said[0] == "toys: stale: page; making it anew"
    assert Adversaries(short, limit=7, out=facts.parent).stale() == []
