"""Registered things, strangers' objects among them, sent to another process of this program."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from priemo_bench.contracts.sources import is_importable
from priemo_bench.errors import PriemoError
from priemo_bench.registry import receive


def packed(things: Mapping[tuple[str, str], Any]) -> bytes:
    """Registered things for a worker; those of modules that it cannot import by value.

    Raises:
        PriemoError: one that cannot be sent to another process.
    """
    import cloudpickle

    for thing in things.values():
        own = thing if hasattr(thing, "__qualname__") else type(thing)
        module = sys.modules.get(getattr(own, "__module__", None) or "")
        top = module.__name__.partition(".")[0] if module else "builtins"
        if not is_importable(top):
            cloudpickle.register_pickle_by_value(module)
    sent = {}
    for (kind, name), thing in things.items():
        try:
            sent[kind, name] = cloudpickle.dumps(thing)
        except Exception as error:  # any that a stranger's thing may raise
            raise PriemoError(
                f"{kind.removesuffix('s')} {name!r} cannot be sent to another process: "
                f"{' '.join(str(error).split())}; run in one, or give it as file.py:Thing"
            ) from error
    found: bytes = cloudpickle.dumps(sent)
    return found


@lru_cache(maxsize=1)
def unpack(things: bytes) -> None:
    """Register what `packed` has packed; it comes from this run's own first process."""
    import cloudpickle

    receive({key: cloudpickle.loads(thing) for key, thing in cloudpickle.loads(things).items()})
