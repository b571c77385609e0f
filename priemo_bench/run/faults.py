"""What goes wrong in a run: errors of plug-ins as sentences, and those who ask it to stop."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import psutil

from priemo_bench.contracts.storage import StorageError
from priemo_bench.errors import PriemoError
from priemo_bench.run.limits import CellLimit

LENGTH = 300
"""Most characters of a reason."""
NO_MEMORY = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "ALLOC_FAILED",
)  # fmt: skip
"""How torch, CUDA and the system say so in other exceptions than MemoryError."""


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: MemoryError, or torch's, CUDA's or the system's own word for it."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    text = _text(error).lower()
    return isinstance(error, RuntimeError) and any(word.lower() in text for word in NO_MEMORY)


def reason_of(error: BaseException) -> str:
    """An exception in one line of at most 300 characters.

    Example:
        >>> reason_of(KeyError("eps"))
        "KeyError: 'eps'"
        >>> reason_of(SystemExit(3))
        'it called sys.exit(3)'
        >>> reason_of(MemoryError())
        'out of memory'
    """
    text = _text(error)
    if isinstance(error, SystemExit):
        text = f"it called sys.exit({text})"
    elif out_of_memory(error):
        text = f"out of memory: {text}" if text else "out of memory"
    elif not isinstance(error, PriemoError | CellLimit):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if len(text) <= LENGTH else text[: LENGTH - 4] + " ..."


def _text(error: BaseException) -> str:
    """The message of an exception in one line; nothing where even that fails."""
    try:
        return " ".join(str(error).split())
    except Exception:
        return ""


class plugin_errors:
    """Within it, whatever a plug-in raises ends the block and is kept as `reason`.

    Passes on what ends more than this block: `CellLimit`, `StorageError`, and a stop asked for by
    Ctrl-C or SIGTERM, even where the plug-in swallowed it (known within `stoppable`).

    Attributes:
        reason: see `reason_of`; empty where nothing was raised.
        no_memory: whether memory ran out.

    Example:
        >>> with plugin_errors() as failure:
        ...     raise SystemExit("bye")
        >>> failure.reason
        'it called sys.exit(bye)'
    """

    reason = ""
    no_memory = False

    def __enter__(self) -> plugin_errors:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if _Stop.asked and _in_main_thread():
            raise _Stop.asked from None
        if error is None or isinstance(error, CellLimit | StorageError):
            return False
        if isinstance(error, KeyboardInterrupt) and _in_main_thread() and not _Stop.watched:
            return False
        self.reason, self.no_memory = reason_of(error), out_of_memory(error)
        return True


class Terminated(KeyboardInterrupt):
    """SIGTERM asked to stop; its exit code is 143, that of Ctrl-C 130."""


class _Stop:
    """Whether this process watches for Ctrl-C and SIGTERM, and which was asked for."""

    watched = False
    asked: type[KeyboardInterrupt] | None = None


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _stop(number: int, frame: FrameType | None) -> None:
    _Stop.asked = Terminated if number == signal.SIGTERM else KeyboardInterrupt
    raise _Stop.asked


@contextmanager
def stoppable() -> Iterator[None]:
    """Within it, SIGTERM ends a run as Ctrl-C does, and `plugin_errors` knows both from impostors.

    Signals that are ignored (by nohup, say) stay so. Does nothing outside the main thread.

    Raises:
        KeyboardInterrupt: Ctrl-C. Terminated: SIGTERM.
    """
    if not _in_main_thread() or _Stop.watched:
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    mine = {n: old for n, old in before.items() if old not in (signal.SIG_IGN, None)}
    _Stop.watched, _Stop.asked = True, None
    try:
        for number in mine:
            signal.signal(number, _stop)
        yield
    finally:
        _Stop.watched, _Stop.asked = False, None
        for number, old in mine.items():
            signal.signal(number, old)


def die_with_parent(parent: int | None = None, period: float = 0.5) -> None:
    """End this process within a second after its parent is gone.

    Args:
        parent: its process id, where it may be gone already; by default the parent of now.
    """
    first = os.getppid()
    known = first if parent is None else parent

    def watch() -> None:
        while psutil.pid_exists(known) and os.getppid() == first:
            time.sleep(period)
        os._exit(1)

    threading.Thread(target=watch, name="die with parent", daemon=True).start()
