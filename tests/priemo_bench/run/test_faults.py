"""What plug-ins raise, and who asks a run to stop; signals reach processes of their own."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import psutil
import pytest
import torch

from priemo_bench.contracts.storage import StorageError
from priemo_bench.errors import PriemoError
from priemo_bench.run.faults import (
    LENGTH,
    Terminated,
    out_of_memory,
    plugin_errors,
    reason_of,
    stoppable,
)
from priemo_bench.run.limits import CellLimit


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no message either")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("out of\n  luck"), "RuntimeError: out of luck"),
        (PriemoError("the budget is 0"), "the budget is 0"),
        (CellLimit("it took longer than 1 s"), "it took longer than 1 s"),
        (SystemExit(3), "it called sys.exit(3)"),
        (MemoryError(), "out of memory"),
        (StopIteration(), "StopIteration"),
        (GeneratorExit(), "GeneratorExit"),
        (RecursionError("too deep"), "RecursionError: too deep"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (Mute(), "Mute"),
    ],
)
def test_reasons(error: BaseException, reason: str) -> None:
    assert reason_of(error) == reason


def test_reasons_are_short() -> None:
    reason = reason_of(ValueError("x" * 1000))
    assert len(reason) == LENGTH
    assert reason.startswith("ValueError: xxx")


def test_memory_that_runs_out_is_known_whoever_says_so() -> None:
    """Real ones of numpy and torch, and the words of CUDA and of the system."""
    with plugin_errors() as failure:
        np.ones(10**16)
    assert failure.no_memory
    assert failure.reason.startswith("out of memory: Unable to allocate")
    with plugin_errors() as failure:
        torch.ones(10**16)
    assert failure.no_memory
    assert failure.reason.startswith("out of memory: ")
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB"))
    assert out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling ..."))
    assert out_of_memory(OSError(errno.ENOMEM, "Cannot allocate memory"))
    assert not out_of_memory(OSError(errno.ENOSPC, "No space left on device"))
    assert not out_of_memory(ValueError("the word memory"))


@pytest.mark.parametrize(
    "error",
    [RuntimeError, SystemExit, StopIteration, GeneratorExit, RecursionError, ExceptionGroup],
)
def test_whatever_a_plugin_raises_is_kept(error: type[BaseException]) -> None:
    arguments = ("two", [ValueError()]) if error is ExceptionGroup else ("word",)
    with plugin_errors() as failure:
        raise error(*arguments)
    assert failure.reason == reason_of(error(*arguments))


def test_what_ends_more_than_a_plugin_passes() -> None:
    for error in (CellLimit, StorageError, KeyboardInterrupt):
        with pytest.raises(error), plugin_errors():
            raise error("it")
    with plugin_errors() as failure:
        pass
    assert failure.reason == ""


def test_an_endless_recursion_is_a_reason() -> None:
    def deeper() -> None:
        deeper()

    with plugin_errors() as failure:
        deeper()
    assert failure.reason.startswith("RecursionError")


def test_a_keyboard_interrupt_that_nobody_pressed() -> None:
    with stoppable(), plugin_errors() as failure:
        raise KeyboardInterrupt
    assert failure.reason == "KeyboardInterrupt"
    reasons = []

    def elsewhere() -> None:  # signals reach the main thread only
        with plugin_errors() as failure:
            raise KeyboardInterrupt
        reasons.append(failure.reason)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert reasons == ["KeyboardInterrupt"]


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_a_stop_that_a_plugin_swallows_still_stops(
    number: signal.Signals, kind: type[BaseException]
) -> None:
    def swallowing() -> None:
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        except BaseException:
            raise RuntimeError("interrupted") from None

    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt) as stopped, stoppable(), plugin_errors():
        swallowing()
    assert stopped.type is kind
    assert signal.getsignal(number) == before
    with stoppable(), plugin_errors() as failure:  # and the next run knows nothing of it
        raise KeyboardInterrupt
    assert failure.reason


def start(code: str) -> subprocess.Popen[str]:
    """A process that runs `code`, once it has printed its first line."""
    code = "import os, signal, subprocess, sys, time\n" + textwrap.dedent(code)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


STOPPABLE = """
from pathlib import Path
from priemo_bench.contracts.storage import write_file
from priemo_bench.run.faults import Terminated, stoppable

def fill(file):
    file.write(b"half")
    print("writing", flush=True)
    time.sleep(60)

try:
    with stoppable():
        write_file(Path(sys.argv[1] if sys.argv[1:] else "x"), fill)
except KeyboardInterrupt as stop:
    sys.exit(143 if isinstance(stop, Terminated) else 130)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_sigterm_leaves_nothing_half_written(
    number: signal.Signals, code: int, tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with start(STOPPABLE) as process:
        assert process.stdout.readline() == "writing\n"
        process.send_signal(number)
        assert process.wait(5) == code
    assert os.listdir(tmp_path) == []


def test_ignored_signals_stay_ignored() -> None:
    with start("""
        from priemo_bench.run.faults import stoppable
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with stoppable():
            os.kill(os.getpid(), signal.SIGINT)
            print("alive", flush=True)
    """) as process:
        assert process.stdout.read() == "alive\n"


CHILD = """
import time
from priemo_bench.run.faults import die_with_parent
die_with_parent()
print("ready", flush=True)
while True:
    time.sleep(100)
"""


def ended(process: psutil.Process) -> bool:
    """Whether it is gone, or left only for its parent to ask about."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_does_not_outlive_its_parent(number: signal.Signals) -> None:
    with start(f"""
        child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdout=subprocess.PIPE)
        child.stdout.readline()
        print(child.pid, flush=True)
        time.sleep(100)
    """) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        time.sleep(1.2)
        assert child.is_running()
        parent.send_signal(number)
        parent.wait()
        late = time.monotonic() + 5
        while not ended(child):
            assert time.monotonic() < late
            time.sleep(0.05)


def test_a_worker_whose_parent_is_gone_already() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    with start(f"""
        from priemo_bench.run.faults import die_with_parent
        die_with_parent({gone.pid})
        time.sleep(30)
    """) as process:
        assert process.wait(20) == 1
