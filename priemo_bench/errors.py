"""The one exception that means "the user can mend this", and what raises it most."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class PriemoError(ValueError):
    """A user's mistake, told in one sentence: what was wrong and what would be right.

    The command line prints the sentence without a traceback and exits with code 2.

    Example:
        >>> from priemo_bench import PriemoError, load_victim
        >>> try:
        ...     load_victim("convnxt")
        ... except PriemoError as error:
        ...     print(error)
        no victim is called 'convnxt'; did you mean convnext?
    """

    def __str__(self) -> str:
        """In one line, without control characters, whatever names and reasons are in it."""
        return "".join(c if c.isprintable() else " " for c in super().__str__())


def require(holds: bool, name: str, value: object, wanted: str) -> None:
    """PriemoError "`name` is `value`; it must be `wanted`" unless `holds`."""
    if not holds:
        raise PriemoError(f"{name} is {value!r}; it must be {wanted}")


def unknown(kind: str, name: str, known: Iterable[str]) -> PriemoError:
    """The error for a name that is not in `known`, with the nearest ones that are."""
    known = sorted(known)
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known) or 'none'}"
    return PriemoError(f"no {kind.removesuffix('s')} is called {name!r}; {hint}")
