"""As many victims as are asked for: `victim_0`, `victim_1` ..., each with weights of its own."""

from __future__ import annotations

from functools import partial

from toyplugin.logged import Logged


def __getattr__(name: str) -> partial[Logged]:
    kind, _, seed = name.partition("_")
    if kind != "victim" or not seed.isdecimal():
        raise AttributeError(name)
    return partial(Logged, name, 100 + int(seed))
