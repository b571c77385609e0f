"""Fuzzing: whatever is in an input, the outcome is a result, or a PriemoError of one line.

The fixture `fuzz` tries an attempt on many made-up inputs. Another exception, more than SECONDS,
a file written outside of the test's folder, a process, a connection, and a class looked up by
pickle are failures. `pytest -n 0 -m slow tests/fuzz` tries 100,000, and says how many of each.
"""

from __future__ import annotations

import copy
import os
import signal
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning

from priemo_bench.errors import PriemoError

SECONDS = 20
"""Of one input, on a machine that has other work."""
SHARE, FEW = float(os.environ.get("PRIEMO_FUZZ") or 1), 100
"""Of the inputs of the slow run: PRIEMO_FUZZ=0.01 tries a hundredth; amounts in CI are FEW."""
TALLY: Counter[tuple[str, str]] = Counter()
"""How many inputs of a test ended as a "result" and as a "sentence"."""
FORBIDDEN = {
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect",
    "socket.getaddrinfo", "pickle.find_class",
}  # fmt: skip
PATHS = {
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate",
    "os.chmod", "shutil.move", "shutil.rmtree", "shutil.unpack_archive",
}  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Hang(BaseException):
    """An input took too long."""


class _Watch:
    """What happens within `within(folder)` that may not; one audit hook for the process."""

    folder: str | None = None
    seen: list[str] = []

    @classmethod
    @contextmanager
    def within(cls, folder: Path) -> Iterator[list[str]]:
        cls.folder, cls.seen = os.path.realpath(folder), []
        try:
            yield cls.seen
        finally:
            cls.folder = None

    @classmethod
    def hook(cls, event: str, args: tuple[Any, ...]) -> None:
        if cls.folder is None:
            return
        if event in FORBIDDEN:
            cls.seen.append(f"{event} {args!r}"[:200])
        elif event == "open" and isinstance(args[2], int) and args[2] & WRITES:
            cls._written(event, args[0])
        elif event in PATHS:
            for path in args[:2]:
                cls._written(event, path)

    @classmethod
    def _written(cls, event: str, path: object) -> None:
        if not isinstance(path, str | bytes) or cls.folder is None:
            return
        place = os.path.realpath(os.fsdecode(path))
        others = (cls.folder + os.sep, "/dev/", os.path.realpath(tempfile.gettempdir()) + "/tmp")
        if not (place + os.sep).startswith(others) and "__pycache__" not in place:
            cls.seen.append(f"{event} {place}"[:200])


sys.addaudithook(_Watch.hook)


def _late(number: int, frame: object) -> None:
    raise Hang(f"more than {SECONDS} s")


class Fuzz:
    """Tries many inputs; `folder` is where an attempt may write."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder

    def __call__(
        self, inputs: st.SearchStrategy[Any], attempt: Callable[[Any], object], amount: int
    ) -> None:
        """`attempt` on `amount` of `inputs`."""

        amount = max(1, round(amount * SHARE)) if amount > FEW else amount

        @settings(
            max_examples=amount, deadline=None, database=None, derandomize=amount <= FEW,
            suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink),
            report_multiple_bugs=False,
        )  # fmt: skip
        @given(inputs)
        def tried(value: Any) -> None:
            self.once(lambda: attempt(value))

        with warnings.catch_warnings():  # of inputs that are long to print
            warnings.simplefilter("ignore", HypothesisWarning)
            tried()

    def once(self, attempt: Callable[[], object]) -> None:
        before = signal.signal(signal.SIGALRM, _late)
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            with _Watch.within(self.folder) as seen:
                try:
                    attempt()
                    outcome = "result"
                except PriemoError as error:
                    outcome = "sentence"
                    text = str(error)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert not seen, seen
        if outcome == "sentence":
            assert text.strip()
            assert len(text.splitlines()) == 1, text
        TALLY[self.name, outcome] += 1


@pytest.fixture
def fuzz(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fuzz:
    monkeypatch.chdir(tmp_path)
    return Fuzz(request.node.originalname, tmp_path)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not TALLY:
        return
    for name in dict.fromkeys(name for name, _ in TALLY):
        results, sentences = TALLY[name, "result"], TALLY[name, "sentence"]
        terminalreporter.write_line(f"{name}: {results:,} results, {sentences:,} sentences")
    terminalreporter.write_line(f"{sum(TALLY.values()):,} inputs tried")


# Values


NAMES = st.one_of(
    st.sampled_from(
        ["", ".", "..", "../../evil", "/etc/passwd", "/tmp/evil", "a/b", "a\\b", "a b", "a+b",
         "a,b", "a:b", "a=b", "nul\0l", "line\nbreak", "<script>alert(1)</script>", "![x](http://y)",
         "|`*_", "{{ 7*7 }}", "{% for", "$x^2$", "%s{0}", "é", "表情", "\u202e", "\ud83d\ude00",
         "none", "all", "-dash", "x" * 300, "angry", "image", "happy "]
    ),
    st.text(max_size=12),
)  # fmt: skip
NUMBERS = st.one_of(
    st.sampled_from(
        [0, 1, -1, 2, 7, 255, 32768, 2**31, 2**32, 2**63, -(2**63), 10**30, 0.0, -0.0, 0.5, 1e-9,
         1e-320, 1e30, 1e308, 0.997, float("inf"), float("-inf"), float("nan")]
    ),
    st.integers(-5, 300),
    st.floats(-2, 2),
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(NAMES, NUMBERS, st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=2)),
    max_leaves=4,
)
TOKENS = st.sampled_from(
    [b"1e400", b"1e99999999", b"-1e400", b"nan", b"inf", b"0x", b"\x00", b"\xff\xfe", b"\\",
     b"\xed\xa0\x80", b"[[", b"]]", b"{", b"}", b'"', b"'''", b'"""', b"=", b"\r", b"\n", b"#",
     b"\xef\xbb\xbf",
     b"\\u0000", b"1979-05-27", b"07:32:00", b"9" * 5000, b"[" * 2000, b"../", b"none", b"true",
     b"\xc3\x28", b",", b";", b"\t", b"1.5", b"-1", b"256", b"_"]
)  # fmt: skip


def paths_of(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Places in nested lists and dictionaries, whose root is ()."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    found = []
    for key, value in items:
        found.append((*path, key))
        if isinstance(value, dict | list):
            found += paths_of(value, (*path, key))
    return found


@st.composite
def changed(draw: st.DrawFn, tree: Any, values: Any = VALUES, most: int = 3) -> Any:
    """A copy of nested lists and dictionaries with some values changed, dropped or added."""
    new = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, most))):
        places = paths_of(new)
        if not places:
            break
        *way, last = draw(st.sampled_from(places))
        at = new
        for key in way:
            at = at[key]
        how = draw(st.sampled_from(["change", "change", "change", "drop", "add", "copy"]))
        if how == "drop":
            del at[last]
        elif how == "add":
            (at.update({draw(NAMES): draw(values)}) if isinstance(at, dict) else
             at.append(draw(values)))  # fmt: skip
        elif how == "copy" and isinstance(at, list):
            at.append(copy.deepcopy(at[last]))
        else:
            at[last] = draw(values)
    return new


@st.composite
def damaged(draw: st.DrawFn, whole: bytes, most: int = 4) -> bytes:
    """Bytes with some changed, dropped, doubled or inserted, or cut off."""
    new = bytearray(whole)
    for _ in range(draw(st.integers(1, most))):
        at = draw(st.integers(0, max(0, len(new) - 1)))
        how = draw(st.sampled_from(["byte", "bit", "token", "cut", "drop", "double", "zeros"]))
        if how == "byte" and new:
            new[at] = draw(st.integers(0, 255))
        elif how == "bit" and new:
            new[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "token":
            new[at:at] = draw(TOKENS)
        elif how == "cut":
            del new[at:]
        elif how == "drop":
            del new[at : at + draw(st.integers(1, 50))]
        elif how == "double":
            new[at:at] = new[at : at + draw(st.integers(1, 200))]
        elif new:
            new[at : at + 8] = bytes(len(new[at : at + 8]))
    return bytes(new)


class Inputs:
    """Strategies, for the tests beside this file."""

    names, numbers, values, tokens = NAMES, NUMBERS, VALUES, TOKENS
    changed, damaged = staticmethod(changed), staticmethod(damaged)


@pytest.fixture
def inputs() -> type[Inputs]:
    return Inputs
