"""Limits of time and memory for one cell, whatever its attack does."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

import psutil

from priemo_bench.errors import require

PERIOD = 0.2
"""Seconds between two looks at a cell."""
GRACE = 10.0
"""Seconds that a cell beyond its limits has to end, before its process is ended."""
KILLED = 70
"""Exit code of a process whose cell did not end."""


@dataclass(frozen=True)
class Limits:
    """What one cell may take; None is no limit.

    Attributes:
        seconds: from begin to end of the cell.
        megabytes: resident memory of its process beyond what it had when the cell began.
    """

    seconds: float | None = None
    megabytes: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("time limit", self.seconds), ("memory limit", self.megabytes)):
            require(value is None or value > 0, name, value, "above 0")


class CellLimit(BaseException):
    """A cell went beyond its limits; says which. No `except Exception` of a plug-in stops it."""


class guarded:
    """Within it, the code of this thread raises `CellLimit` once it is beyond `limits`.

    In the main thread a signal ends sleeps and waits too. Elsewhere, and on Windows, the exception
    comes when Python code runs next. Code that has not ended `GRACE` seconds later ends with its
    process (exit code 70). Code that hangs without letting other threads run ends with its process
    too (exit code 1, the time limit only, in the main thread), but nothing can be told then.

    A handler of `SIGALRM` is put back at the end. Where there was none, the signal does nothing
    from then on: by default it would end the process, and one of ours may come late.

    Args:
        on_kill: called with the reason just before the process ends; from another thread.

    Raises:
        CellLimit: also where the code turned it into another exception, or went on.

    Example:
        >>> import time
        >>> try:
        ...     with guarded(Limits(seconds=0.1), on_kill=print):
        ...         time.sleep(60)
        ... except CellLimit as limit:
        ...     print(limit)
        it took longer than 0.1 s (--time-limit)
    """

    def __init__(self, limits: Limits, on_kill: Callable[[str], object]) -> None:
        self.limits, self.on_kill = limits, on_kill
        self._reason = ""
        self._inside = False  # only then may anything be raised in the guarded code
        self._ended = threading.Event()
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        if self.limits == Limits():
            return
        self._begun = time.monotonic()
        self._memory = _megabytes()
        self._thread = threading.get_ident()
        self._main = threading.current_thread() is threading.main_thread()
        self._by_signal = self._main and hasattr(signal, "pthread_kill")
        if self._by_signal:
            before = signal.signal(signal.SIGALRM, self._raise)
            self._handler = before if callable(before) else _late
        threading.Thread(target=self._watch, name="cell limits", daemon=True).start()
        seconds = self.limits.seconds or 0
        if self._main and seconds and sys.__stderr__:
            last = seconds + 2 * GRACE + 5
            faulthandler.dump_traceback_later(last, exit=True, file=sys.__stderr__)
        if self._by_signal:
            # it reaches what lets no other thread run but looks for signals, such as `re`
            self._timer = signal.setitimer(signal.ITIMER_REAL, seconds, 1)
        self._inside = True  # last of all: what is raised before is never taken back by __exit__

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._inside = False  # first of all: from here on, no signal raises
        if self.limits == Limits():
            return
        while True:
            try:
                self._close()
                break
            except CellLimit:  # in another thread: it came while we were closing
                continue
        if self._reason and not isinstance(error, KeyboardInterrupt):
            raise CellLimit(self._reason) from None

    def _close(self) -> None:
        with self._lock:  # the watch neither interrupts nor kills from here on
            self._ended.set()
        if self._by_signal:
            signal.setitimer(signal.ITIMER_REAL, *self._timer)
            signal.signal(signal.SIGALRM, self._handler)
        else:
            _raise_in(self._thread, None)
        if self._main and self.limits.seconds:
            faulthandler.cancel_dump_traceback_later()

    def _breach(self) -> str:
        """Which limit is passed, in a sentence; empty where none is."""
        seconds, megabytes = self.limits.seconds, self.limits.megabytes
        if seconds and time.monotonic() - self._begun >= seconds:
            return f"it took longer than {seconds:,g} s (--time-limit)"
        if megabytes and _megabytes() - self._memory > megabytes:
            return f"it needed more than {megabytes:,.10g} MB (--memory-limit)"
        return ""

    def _watch(self) -> None:
        """In a thread of its own: interrupt the cell every second, then end the process."""
        interrupted: list[float] = []
        while not self._ended.wait(PERIOD):
            self._reason = self._reason or self._breach()
            now = time.monotonic()
            with self._lock:
                if not self._reason or not self._inside:
                    continue
                if interrupted and now > interrupted[0] + GRACE:
                    self._kill()
                if not interrupted or now > interrupted[-1] + 1:
                    interrupted.append(now)
                    self._interrupt()

    def _interrupt(self) -> None:
        if self._by_signal:
            signal.pthread_kill(self._thread, signal.SIGALRM)
        else:
            _raise_in(self._thread, CellLimit)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        """In the main thread, by the signal; never while the guard itself begins or ends."""
        self._reason = self._reason or self._breach()
        ours = frame is not None and frame.f_code.co_filename == __file__
        if self._reason and self._inside and not ours:
            raise CellLimit(self._reason)

    def _kill(self) -> None:
        """Tell the reason, and end the process even where that hangs."""
        told = threading.Thread(target=self.on_kill, args=(self._reason,), daemon=True)
        told.start()
        told.join(GRACE)
        os._exit(KILLED)


def _late(number: int, frame: FrameType | None) -> None:
    """Nothing: a signal sent within a guard, and handled by another thread after it had closed."""


def _megabytes() -> float:
    """Resident memory of this process now."""
    return float(psutil.Process().memory_info().rss / 2**20)


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Let a thread raise `error` when its Python code runs next; None takes that back."""
    given = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), given)
