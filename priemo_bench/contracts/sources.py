"""Source texts of functions and classes, also of those that a script, notebook or shell defines.

A worker that has such a thing by value cannot read its source: it is given its parent's TEXTS.
"""

from __future__ import annotations

import inspect
import sys
from functools import cache
from hashlib import sha256
from typing import Any


@cache
def is_importable(top: str) -> bool:
    """Whether another process can import a top-level module, or package, of this one."""
    if top in sys.builtin_module_names:
        return True
    return any(finder.find_spec(top, None) for finder in sys.meta_path)


TEXTS: dict[str, str] = {}
"""By module, name and digest of byte code."""


def source_text(thing: Any) -> str:
    """The source of a function or class; a sentence where there is none."""
    byte_code = getattr(getattr(thing, "__code__", None), "co_code", b"")
    name = f"{getattr(thing, '__module__', '')}:{getattr(thing, '__qualname__', repr(type(thing)))}"
    key = f"{name} {sha256(byte_code).hexdigest()[:12]}"
    if key not in TEXTS or thing.__module__ != "__main__":
        try:
            TEXTS[key] = inspect.getsource(thing)
        except (OSError, TypeError):
            TEXTS.setdefault(key, f"{name} without source")
    return TEXTS[key]
