"""One bad part costs only itself: all other rows are those of a run without it.

CI runs bad parts of a kind together, the slow tests one by one.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

Whole = tuple[Path, Path, float]
FAILING = ("raises", "nan", "shape", "none", "bytes")
"""Attacks whose cells must fail."""
SLY = ("writes", "globals", "train")
"""Attacks that may fail or not, and must not disturb others."""
ENTRIES = ("traits", "missing", "syntax")
VICTIMS = ("raises", "nan", "inf", "five", "oserror", "exit")
DEFENSES = ("raises", "nan", "nine", "text", "fewer", "shape", "writes")
METRICS = ("raises", "shape", "text", "writes-x", "writes-y")


def attack(name: str) -> dict[str, Any]:
    surrogates = {"surrogates": ["toy-a"]} if name == "train" else {}
    return {"name": f"bad-{name}", "budgets": ["equal"], **surrogates}


def reasons(lab: Any, out: Path) -> str:
    """All that the run keeps of failures, as one text."""
    failed = [fact for fact in lab.facts(out) if fact["status"] != "done"]
    return f"{failed} {(out / 'failures.csv').read_text()}"


def check_others(lab: Any, whole: Whole, out: Path, ended: Any) -> None:
    """No traceback, exit code 1, and the rows of good parts as they should be."""
    assert ended.code == 1, ended
    assert not ended.is_traceback, ended.text
    rows = [lab.of_good_parts(lab.rows(folder)) for folder in (whole[1], out)]
    pd.testing.assert_frame_equal(*rows)


def check_attacks(
    lab: Any, whole: Whole, out: Path, names: tuple[str, ...], *options: object
) -> None:
    spec = lab.spec(*map(attack, names), *lab.ATTACKS)
    ended = lab.finish(spec, out, *options)
    for _ in range(3):  # a crash takes a run of one process along; typed again, it goes on
        if ended.code == -signal.SIGABRT and "abort" in names and "--jobs" not in options:
            ended = lab.finish(spec, out, *options)
    check_others(lab, whole, out, ended)
    known = reasons(lab, out)
    assert [name for name in names if name not in SLY and f"bad-{name}" not in known] == []


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (FAILING + SLY, ()),
        pytest.param(("exit", "abort"), (), marks=pytest.mark.slow),
        pytest.param(
            ("sleep", "memory"),
            ("--time-limit", 10, "--memory-limit", 1000),
            marks=pytest.mark.slow,
        ),
        (ENTRIES, ()),
    ],
    ids=["wrong", "ending", "endless", "unloadable"],
)
def test_attacks(
    lab: Any, whole: Whole, tmp_path: Path, names: tuple[str, ...], options: tuple[object, ...]
) -> None:
    check_attacks(lab, whole, tmp_path, names, *options)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [(), ("--jobs", 2)], ids=["1 job", "2 jobs"])
@pytest.mark.parametrize("name", [*FAILING, *ENTRIES, "exit", "abort"])
def test_one_attack(
    lab: Any, whole: Whole, tmp_path: Path, name: str, jobs: tuple[object, ...]
) -> None:
    check_attacks(lab, whole, tmp_path, (name,), *jobs)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("name", ["sleep", "loop", "native", "memory"])
def test_one_attack_without_end(
    lab: Any, whole: Whole, tmp_path: Path, name: str, jobs: int
) -> None:
    limits = ("--time-limit", 10, "--memory-limit", 1000, "--jobs", jobs)
    check_attacks(lab, whole, tmp_path, (name,), *limits)
    assert ("memory" if name == "memory" else "10 s") in reasons(lab, tmp_path)


@pytest.mark.slow
def test_an_attack_that_raises_what_ctrl_c_does(lab: Any, whole: Whole, tmp_path: Path) -> None:
    """It may end the run, in words; then all before it is kept."""
    ended = lab.finish(lab.spec(*lab.ATTACKS, attack("interrupt")), tmp_path)
    assert ended.code in (1, 130), ended
    assert not ended.is_traceback, ended.text
    spec, undisturbed, _ = whole
    assert lab.finish(spec, tmp_path, "--overwrite").code == 0
    assert not lab.differences(lab.contents(undisturbed), lab.contents(tmp_path))


def check_parts(lab: Any, whole: Whole, out: Path, kind: str, names: tuple[str, ...]) -> None:
    """Bad parts before and after the good ones; each is named with its reason."""
    bad, good = [f"bad-{name}" for name in names], lab.SPEC[kind]
    half = (len(bad) + 1) // 2
    ended = lab.finish(lab.spec(**{kind: [*bad[:half], *good, *bad[half:]]}), out)
    check_others(lab, whole, out, ended)
    known = reasons(lab, out)
    assert [name for name in bad if name not in known] == []


def test_victims(lab: Any, whole: Whole, tmp_path: Path) -> None:
    check_parts(lab, whole, tmp_path, "victims", VICTIMS)
    assert not set(lab.rows(tmp_path)["victim"]) & {f"bad-{name}" for name in VICTIMS}


def test_defenses(lab: Any, whole: Whole, tmp_path: Path) -> None:
    check_parts(lab, whole, tmp_path, "defenses", DEFENSES)
    assert set(lab.rows(tmp_path)["defense"]) <= {"none", "toy-smooth", "bad-writes"}


@pytest.mark.slow
def test_metrics(lab: Any, whole: Whole, tmp_path: Path) -> None:
    check_parts(lab, whole, tmp_path, "metrics", METRICS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind, names in {"victims": VICTIMS, "defenses": DEFENSES, "metrics": METRICS}.items()
        for name in names
    ],
)
def test_one_part(lab: Any, whole: Whole, tmp_path: Path, kind: str, name: str) -> None:
    check_parts(lab, whole, tmp_path, kind, (name,))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fickle"])
def test_a_victim_that_changes_its_mind_disturbs_no_other(
    lab: Any, whole: Whole, tmp_path: Path, name: str
) -> None:
    victims = ["toy-a", "bad-fickle", "toy-b", "toy-judge"]
    ended = lab.finish(lab.spec(victims=victims), tmp_path)
    assert ended.is_polite, ended
    rows = [lab.of_good_parts(lab.rows(folder)) for folder in (whole[1], tmp_path)]
    pd.testing.assert_frame_equal(*rows)


@pytest.mark.slow
def test_a_metric_without_a_number_is_nan_in_its_own_column(
    lab: Any, whole: Whole, tmp_path: Path
) -> None:
    ended = lab.finish(lab.spec(metrics=["bad-nan", "toy-change"]), tmp_path)
    assert ended.is_polite, ended
    rows = [lab.of_good_parts(lab.rows(folder)) for folder in (whole[1], tmp_path)]
    pd.testing.assert_frame_equal(*rows)


@pytest.mark.slow
def test_surrogates(lab: Any, whole: Whole, tmp_path: Path) -> None:
    """An attack on a surrogate that fails is a failed cell; on others it is as ever."""
    gradient, *others = lab.ATTACKS
    bad = [f"bad-{name}" for name in ("raises", "nan", "five", "oserror")]
    wider = {**gradient, "surrogates": [*bad, *gradient["surrogates"]]}
    ended = lab.finish(lab.spec(wider, *others), tmp_path)
    check_others(lab, whole, tmp_path, ended)
    assert [name for name in bad if name not in reasons(lab, tmp_path)] == []
