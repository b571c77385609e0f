"""Files of the user, read by libraries of others: every failure is one sentence."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from priemo_bench.errors import PriemoError


@contextmanager
def told(path: Path, fault: str) -> Iterator[None]:
    """Whatever a reader of `path` raises as PriemoError: "`path` `fault`: reason".

    Running out of memory is told as that, not as a fault of the file.
    """
    try:
        yield
    except PriemoError:
        raise
    except Exception as error:  # readers document few of those that damaged files bring about
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
            raise PriemoError(f"memory ran out while {path} was read") from error
        raise PriemoError(f"{path} {fault}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "it is not UTF-8 text; save it as UTF-8"
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return (text.strip().splitlines() or [type(error).__name__])[0][:200]
