"""What is shown while something runs, on a clock that the test moves."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable

import pytest
from rich.console import Console

from priemo_bench import progress as module
from priemo_bench.errors import PriemoError
from priemo_bench.progress import progress

Move = Callable[[float], None]


@pytest.fixture
def move(monkeypatch: pytest.MonkeyPatch) -> Move:
    """Moves the clock on by so many seconds."""
    now = [100.0]
    monkeypatch.setattr(module, "_now", lambda: now[0])

    def on(seconds: float) -> None:
        now[0] += seconds

    return on


def test_lines(move: Move, capsys: pytest.CaptureFixture[str]) -> None:
    """One for each cell that ends; at most one in 30 seconds for a cell that goes on."""
    with progress("lines") as shown:
        shown.say("3 cells")
        shown.run(3)
        shown.begin("a", "pgd on resnet (rendered, equal, seed 0)", steps=100)
        for step in range(100):
            move(1)
            shown.step("a", step + 1)
        shown.end("a", "pgd")
        shown.begin("b", "blur [x]")
        move(50)
        shown.end("b", "blur [x]", "failed", note="ValueError: luck")
        shown.end("c", "fgsm", seconds=12.34)  # over before anyone saw it begin
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "3 cells",
        "pgd on resnet (rendered, equal, seed 0): 30%, about 4 min left",  # 30 s are 1 tenth
        "pgd on resnet (rendered, equal, seed 0): 60%, about 4 min left",
        "pgd on resnet (rendered, equal, seed 0): 90%, about 4 min left",
        "1/3 pgd on resnet (rendered, equal, seed 0): done, 100 s, about 3 min left",
        "2/3 blur [x]: failed (ValueError: luck), 50.0 s, about 75.0 s left",
        "3/3 fgsm: done, 12.3 s",
    ]


def test_json(move: Move, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("json") as shown:
        shown.run(2, seconds=40)
        shown.begin(1, "pgd", steps=30)
        for step in range(30):
            move(0.5)
            shown.step(1, step + 1)
        shown.end(1, "pgd")
        shown.say("a word")
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [event["event"] for event in events] == [
        "run", "begin", *["advance"] * 15, "done", "say",
    ]  # fmt: skip
    assert events[0] == {"event": "run", "done": 0, "total": 2, "remaining": 40}
    assert events[-2]["seconds"] == 15
    assert (events[-2]["cell"], events[-2]["status"], events[-2]["done"]) == ("pgd", "done", 1)
    assert [event["step"] for event in events[2:-2]] == list(range(2, 31, 2))
    assert events[-1]["text"] == "a word"


def test_remaining_time_is_that_of_a_constant_speed(move: Move) -> None:
    """Cells of weight 1 and 3, two seconds a unit: 8 s in all, whatever the order."""
    with progress("quiet") as shown:
        shown.run(2, weights={"long": 3, "short": 1})
        assert shown.remaining is None
        shown.begin("long", "long", steps=6)
        for step in range(6):
            move(1)
            shown.step("long", step + 1)
            assert shown.remaining == pytest.approx(8 - step - 1)
        shown.end("long", "long")
        shown.begin("short", "short")
        move(2)
        shown.end("short", "short")
        assert shown.remaining == 0


def test_an_estimate_counts_until_something_is_measured(move: Move) -> None:
    with progress("quiet") as shown:
        shown.run(100, seconds=100)
        move(4)
        assert shown.remaining == 96
        for cell in range(50):  # twice as slow as thought
            shown.begin(cell, "")
            move(2)
            shown.end(cell, "cell")
        assert 90 < (shown.remaining or 0) < 110


def test_several_cells_at_once(move: Move) -> None:
    with progress("quiet") as shown:
        shown.run(4)
        for cell in "ab":
            shown.begin(cell, cell, steps=2)
        move(10)
        for cell in "ab":
            shown.step(cell, 1)
        assert shown.remaining == pytest.approx(30)  # one cell's worth of four is done
        shown.step("b", 1, steps=4)
        assert shown.remaining == pytest.approx(10 / 0.75 * 3.25)


def test_bars() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, _environ={"TERM": "xterm"})
    with module._bars(console) as shown:
        shown.run(2)
        shown.begin(0, "pgd [bold] on resnet", steps=4)
        shown.step(0, 1)
        shown._rich.refresh()
        shown.end(0, "pgd [bold] on resnet", "failed", 2.0, "no luck")
        shown.begin(1, "another")
        shown.end(1, "another")
    text = stream.getvalue()
    assert "pgd [bold] on resnet" in text
    assert "1/4" in text
    assert "1/2 pgd [bold] on resnet: failed (no luck), 2.0 s" in text
    assert "another: done" not in text


def test_modes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with progress() as shown:
        shown.say("lines off a terminal")
    assert capsys.readouterr().err == "lines off a terminal\n"
    with pytest.raises(PriemoError, match="one of auto, bars"), progress("loud"):  # type: ignore[arg-type]
        pass
    monkeypatch.setitem(sys.modules, "IPython", sys)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    for found, mode in ((None, "quiet"), (object(), "bars")):
        monkeypatch.setattr(module, "find_spec", lambda name, found=found: found)
        assert module._mode_here() == mode
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: False)
    assert module._mode_here() == "quiet"


SCRIPT = """
import sys
from priemo_bench.progress import progress
with progress(sys.argv[1]) as shown:
    shown.run(2)
    for cell in range(2):
        shown.begin(cell, "cell")
        print("result", cell)
        shown.end(cell, "cell")
print(*[name for name in ("rich", "torch", "numpy") if name in sys.modules])
"""


def test_results_stay_on_standard_output_and_rich_is_for_bars_only() -> None:
    """Standard error is a terminal, standard output a pipe."""
    leader, follower = pty.openpty()
    for mode, loaded in (("auto", "rich"), ("lines", ""), ("json", ""), ("quiet", "")):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, mode], stdout=subprocess.PIPE, stderr=follower,
            text=True, env={**os.environ, "TERM": "xterm"},
        )  # fmt: skip
        assert done.returncode == 0
        assert done.stdout.splitlines() == ["result 0", "result 1", loaded]
    os.close(leader)
    os.close(follower)
