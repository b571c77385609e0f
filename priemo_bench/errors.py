"""The one exception that means "the user can mend this", and the check that raises it most."""

from __future__ import annotations


class PriemoError(ValueError):
    """A user's mistake, told in one sentence: what was wrong and what would be right.

    The command line prints the sentence without a traceback and exits with code 2.

    Example:
        >>> from priemo_bench import PriemoError, load_victim
        >>> try:
        ...     load_victim("botnt")
        ... except PriemoError as error:
        ...     print(error)
        no victim is called 'botnt'; did you mean botnet?
    """

    def __str__(self) -> str:
        """In one line, without control characters, whatever names and reasons are in it."""
        return "".join(c if c.isprintable() else " " for c in super().__str__())


def require(holds: bool, name: str, value: object, wanted: str) -> None:
    """PriemoError "`name` is `value`; it must be `wanted`" unless `holds`."""
    if not holds:
        raise PriemoError(f"{name} is {value!r}; it must be {wanted}")
